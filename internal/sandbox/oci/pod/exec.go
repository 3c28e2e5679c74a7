package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"road/internal/sandbox"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// Exec runs a program in a container with exactly the process settings of the
// container's own: user, groups, capabilities, no_new_privs, seccomp, variables,
// working directory. It gives the exit status, 128+n for signal n; an error
// means that the program did not run. name "" is the first normal container.
func (p *Pod) Exec(ctx context.Context, name string, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	a, err := p.attempt(name)
	if err != nil {
		return -1, err
	}
	return a.exec(ctx, argv, stdin, stdout, stderr)
}

// Run runs a program beside a container's own as if it were the container's
// command: $(NAME) is replaced by the container's variables, and no command at
// all is the image's. It gives all that the program printed.
func (p *Pod) Run(ctx context.Context, name string, command []string) (sandbox.Output, error) {
	a, err := p.attempt(name)
	if err != nil {
		return sandbox.Output{}, err
	}
	img := p.o.Images[a.c.spec.Image].Config
	argv, err := arguments(&corev1.Container{Command: command}, a.env, img.Entrypoint, img.Cmd)
	if err != nil {
		return sandbox.Output{}, err
	}
	stdout, stderr := head{limit: runOutput}, head{limit: runOutput}
	status, err := a.exec(ctx, argv, nil, &stdout, &stderr)
	return sandbox.Output{Stdout: stdout.String(), Stderr: stderr.String(), Status: status}, err
}

// How much of a program's output is kept, in bytes: all that a client program may
// reasonably say, and what the kubelet keeps of a probe's.
const (
	runOutput   = 4 << 20
	probeOutput = 10 << 10
)

// A head keeps the beginning of what is written to it. Images are not trusted: one
// that prints without end must not fill this process's memory.
type head struct {
	strings.Builder
	limit int
}

// Write never fails, so that the program is not held up.
func (h *head) Write(b []byte) (int, error) {
	h.Builder.Write(b[:min(len(b), h.limit-h.Len())])
	return len(b), nil
}

// attempt is the run of a container that goes on.
func (p *Pod) attempt(name string) (*attempt, error) {
	c, err := p.container(name)
	if err != nil {
		return nil, err
	}
	if a := c.current(); a != nil {
		return a, nil
	}
	s := c.status()
	return nil, fmt.Errorf("container %s is not running: %s", c.spec.Name, strings.TrimSpace(string(s.Phase)+" "+s.Reason))
}

// execCommand makes the runtime's exec command; the process file must be removed
// when it has been started or has failed.
func (a *attempt) execCommand(argv []string) (*exec.Cmd, *execFiles, error) {
	return a.execIn(a.p.o.RuncRoot, *a.spec.Process, argv)
}

// execIn is execCommand with the runtime's state in root, and other settings.
func (a *attempt) execIn(root string, process specs.Process, argv []string) (*exec.Cmd, *execFiles, error) {
	process.Args = argv
	b, err := json.Marshal(&process)
	if err != nil {
		return nil, nil, err
	}
	f, err := os.CreateTemp(a.bundle, "exec-*.json")
	if err != nil {
		return nil, nil, err
	}
	files := &execFiles{process: f.Name(), pid: f.Name() + ".pid", log: f.Name() + ".log"}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		files.remove()
		return nil, nil, err
	}
	return exec.Command(a.p.o.Runtime, "--root", root, "--log", files.log, "--log-format", "json",
		"exec", "--process", files.process, "--pid-file", files.pid, a.id), files, nil
}

// execFiles are the files of one exec.
type execFiles struct{ process, pid, log string }

func (f *execFiles) remove() {
	for _, name := range []string{f.process, f.pid, f.log} {
		os.Remove(name)
	}
}

// started says whether the program itself came to run.
func (f *execFiles) started() bool {
	_, err := os.Stat(f.pid)
	return err == nil
}

// kill ends the program. The runtime's exec process is only its messenger.
func (f *execFiles) kill(cmd *exec.Cmd) error {
	var pid int
	b, err := os.ReadFile(f.pid)
	if err == nil {
		_, err = fmt.Sscan(string(b), &pid)
	}
	if err != nil || !killChild(pid, cmd.Process.Pid) {
		return cmd.Process.Kill()
	}
	return nil
}

// killChild kills a process if it is a child of parent. Its number may have been
// given to another since it was written down; with the descriptor open it cannot.
func killChild(pid, parent int) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	if f := statFields(pid); len(f) < 2 || f[1] != strconv.Itoa(parent) {
		return false
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}

// exec runs argv for somebody outside of the pod, and waits for it.
func (a *attempt) exec(ctx context.Context, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	return a.execBy(ctx, (*exec.Cmd).Start, argv, stdin, stdout, stderr)
}

// execOwn runs a probe's or a hook's command, which is part of the container.
func (a *attempt) execOwn(ctx context.Context, argv []string, out io.Writer) (int, error) {
	return a.execBy(ctx, a.startTraced, argv, nil, out, out)
}

func (a *attempt) execBy(ctx context.Context, start func(*exec.Cmd) error, argv []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	if len(argv) == 0 {
		return -1, errors.New("exec: no command")
	}
	cmd, files, err := a.execCommand(argv)
	if err != nil {
		return -1, err
	}
	defer files.remove()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, stderr
	cmd.WaitDelay = time.Second
	if err := start(cmd); err != nil {
		return -1, err
	}
	stop := context.AfterFunc(ctx, func() { files.kill(cmd) })
	err = cmd.Wait()
	if !stop() {
		return -1, context.Cause(ctx)
	}
	if cmd.ProcessState == nil {
		return -1, err
	}
	if code := cmd.ProcessState.ExitCode(); code == 0 || files.started() {
		return code, nil
	}
	return -1, fmt.Errorf("exec %s: %s", argv[0], lastError(files.log, cmd.ProcessState.String()))
}

// Agent starts the probe as an agent in a container, as what serves there is, and
// gives its standard input and output: lines of package probe. Close
// ends it. What it writes to its standard error is part of the error of a
// failed Read.
func (p *Pod) Agent(ctx context.Context, name string) (*Agent, error) {
	if p.o.ProbePath == "" {
		return nil, errors.New("the pod was started without a probe")
	}
	a, err := p.attempt(name)
	if err != nil {
		return nil, err
	}
	return a.agent(ctx, a.p.o.RuncRoot, (*exec.Cmd).Start, []string{ProbeDestination, "agent"})
}

// agent starts argv with the runtime's state in root.
func (a *attempt) agent(ctx context.Context, root string, start func(*exec.Cmd) error, argv []string) (*Agent, error) {
	process, as, err := a.likeServer(ctx)
	if err != nil {
		return nil, err
	}
	cmd, files, err := a.execIn(root, process, argv)
	if err != nil {
		return nil, err
	}
	g := &Agent{As: as, cmd: cmd, files: files, exited: make(chan struct{})}
	cmd.Stderr = &g.stderr
	cmd.WaitDelay = time.Second
	if g.in, err = cmd.StdinPipe(); err == nil {
		// Not StdoutPipe: Wait would close it under a reader.
		var w *os.File
		if g.out, w, err = os.Pipe(); err == nil {
			cmd.Stdout = w
			err = start(cmd)
			w.Close()
		}
	}
	if err != nil {
		files.remove()
		return nil, err
	}
	go func() {
		cmd.Wait()
		close(g.exited)
	}()
	g.stop = context.AfterFunc(ctx, func() { g.Close() })
	return g, nil
}

// An Agent is the standard input and output of a program in a container.
type Agent struct {
	// As says who it is where that is not who the runtime started:
	// "uid 999, gid 999: the entry point drops root".
	As string

	cmd    *exec.Cmd
	files  *execFiles
	in     io.WriteCloser
	out    *os.File
	stderr logBook
	exited chan struct{}
	stop   func() bool
	once   sync.Once
}

func (g *Agent) Write(b []byte) (int, error) { return g.in.Write(b) }

// Read says why the program ended instead of a bare EOF.
func (g *Agent) Read(b []byte) (int, error) {
	n, err := g.out.Read(b)
	if n > 0 || !errors.Is(err, io.EOF) {
		return n, err
	}
	select {
	case <-g.exited:
	case <-time.After(time.Second):
		return 0, io.EOF
	}
	if code := g.cmd.ProcessState.ExitCode(); code != 0 {
		why := first(g.stderr.lines(5), lastError(g.files.log, g.cmd.ProcessState.String()))
		return 0, fmt.Errorf("agent: exit status %d: %s", code, why)
	}
	return 0, io.EOF
}

// Close ends the program.
func (g *Agent) Close() error {
	g.once.Do(func() {
		if g.stop != nil {
			g.stop()
		}
		g.in.Close()
		select {
		case <-g.exited:
		case <-time.After(100 * time.Millisecond):
			g.files.kill(g.cmd)
			<-g.exited
		}
		g.out.Close()
		g.files.remove()
	})
	return nil
}

// lastError is the last error in a runtime's log, otherwise what is given.
func lastError(log, otherwise string) string {
	b, _ := os.ReadFile(log)
	for _, line := range strings.Split(string(b), "\n") {
		var e struct{ Level, Msg string }
		if json.Unmarshal([]byte(line), &e) == nil && e.Level == "error" {
			otherwise = e.Msg
		}
	}
	return otherwise
}
