package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

// outputLimit is how much of a program's output is kept.
const outputLimit = 1 << 20

func execute(ctx context.Context, a *agent, args probe.ExecArgs) (any, error) {
	if len(args.Argv) == 0 {
		return nil, errors.New("no program named")
	}
	limit := 10 * time.Second
	if args.Timeout > 0 {
		limit = time.Duration(args.Timeout) * time.Millisecond
	}
	cmd := exec.Command(args.Argv[0], args.Argv[1:]...)
	cmd.Env, cmd.Dir, cmd.Stdin = args.Env, args.Dir, bytes.NewReader(args.Stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: credential(args)}
	if args.Memory {
		f, err := memoryFile(args.Program)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		cmd.Path, cmd.Err = "/proc/self/fd/3", nil
		cmd.ExtraFiles = []*os.File{f}
	}
	out := new(output)
	if args.Background {
		p, err := start(cmd)
		if err != nil {
			return nil, err
		}
		a.hold(p.kill)
		return probe.ExecResult{PID: p.cmd.Process.Pid}, nil
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 100 * time.Millisecond // for a daemon that keeps the pipe open
	p, err := start(cmd)
	if err != nil {
		return nil, err
	}
	result := probe.ExecResult{PID: p.cmd.Process.Pid}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-ctx.Done():
		p.kill()
		return nil, ctx.Err()
	case <-timer.C:
		result.TimedOut = true
		p.kill()
	}
	result.Output, result.Status = out.String(), p.status()
	return result, nil
}

// credential is the user to become, nil for none.
func credential(args probe.ExecArgs) *syscall.Credential {
	if args.UID == nil && args.GID == nil {
		return nil
	}
	c := &syscall.Credential{Uid: uint32(os.Getuid()), Gid: uint32(os.Getgid())}
	if args.UID != nil {
		c.Uid, c.Gid = uint32(*args.UID), uint32(*args.UID)
	}
	if args.GID != nil {
		c.Gid = uint32(*args.GID)
	}
	return c
}

// memoryFile is a file that no directory names, with program or the probe's own.
func memoryFile(program []byte) (*os.File, error) {
	if len(program) == 0 {
		var err error
		if program, err = os.ReadFile(self); err != nil {
			return nil, err
		}
	}
	fd, err := unix.MemfdCreate("road", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	if _, err := f.Write(program); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// A process is a child that never outlives the probe.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// start starts cmd and reaps it. The kernel kills the child when the thread that
// started it ends, so that thread waits for it.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd, make(chan struct{})}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		// Whoever else forked while the file was written still holds it open for
		// writing, until its own exec: milliseconds.
		for try := 0; errors.Is(err, syscall.ETXTBSY) && try < 50; try++ {
			time.Sleep(10 * time.Millisecond)
			cmd = &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env, Dir: cmd.Dir, SysProcAttr: cmd.SysProcAttr,
				Stdin: cmd.Stdin, Stdout: cmd.Stdout, Stderr: cmd.Stderr, ExtraFiles: cmd.ExtraFiles, WaitDelay: cmd.WaitDelay}
			p.cmd = cmd
			err = cmd.Start()
		}
		started <- err
		if err == nil {
			cmd.Wait() // its error is the exit status, which status gives
			close(p.ended)
		}
	}()
	return p, <-started
}

// kill ends the child, and its process group where it leads one, and waits.
func (p *process) kill() {
	select {
	case <-p.ended:
		return // its number may be another's by now
	default:
	}
	pid := p.cmd.Process.Pid
	if p.cmd.SysProcAttr.Setpgid {
		syscall.Kill(-pid, syscall.SIGKILL)
	}
	p.cmd.Process.Kill()
	<-p.ended
}

// status is the exit status as a shell gives it, once the child has ended.
func (p *process) status() int {
	ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

func kill(_ context.Context, _ *agent, args probe.KillArgs) (any, error) {
	if args.PID <= 0 {
		return nil, os.NewSyscallError("kill", unix.EINVAL) // 0 and -1 are all, the app too
	}
	if args.Signal == 0 {
		args.Signal = int(unix.SIGKILL)
	}
	return nil, os.NewSyscallError("kill", unix.Kill(args.PID, unix.Signal(args.Signal)))
}

// output keeps the beginning of what a program says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if room := outputLimit - o.b.Len(); room > 0 {
		o.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
