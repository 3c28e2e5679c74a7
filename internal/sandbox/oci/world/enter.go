package world

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"road/internal/sandbox/oci/audit"

	"golang.org/x/sys/unix"
)

// Options say what kind of world is made. The zero value is a world in the
// foreground with its state in the usual place.
type Options struct {
	State string // state directory; "" means what StateDir gives

	// Detach makes a world that outlives this process, in a session of its own,
	// with its output in a file. Enter then returns when the worker calls Ready,
	// or with an error and the worker's last lines when it ends before.
	Detach bool

	// Ready is called, with what the worker gave to Ready, before Enter goes on.
	Ready func(info json.RawMessage)

	// Note is told what could not be removed of dead runs, which keeps nobody from
	// making a new one; may be nil.
	Note func(error)
}

// ErrNotRoot says that only root can make a world.
var ErrNotRoot = errors.New("a sandbox needs root")

// Enter runs this program again with the same arguments, environment, files and
// directory inside a new world, waits for it, and gives its exit status; 128+n
// where signal n ended it. It removes first what dead runs left, and at the end
// what this run left.
//
// Signals: SIGTERM and SIGHUP are passed on, and so is SIGINT unless the terminal
// has sent it to the worker itself. The second SIGINT or SIGTERM ends the world
// at once, with status 130. When this process dies, the world dies with it,
// unless it is detached.
func Enter(o Options) (status int, err error) {
	if os.Geteuid() != 0 {
		return 0, ErrNotRoot
	}
	if Inside() != nil {
		return 0, errors.New("a world cannot hold another")
	}
	state, err := openState(o.State)
	if err != nil {
		return 0, err
	}
	if _, err := Sweep(state); err != nil && o.Note != nil {
		o.Note(err)
	}
	run, err := newRun(state)
	if err != nil {
		return 0, err
	}
	signals := make(chan os.Signal, 8) // heeded before there is anything to leave behind
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer signal.Stop(signals)
	s, err := start(run, o)
	if err != nil {
		return 0, errors.Join(err, run.remove())
	}
	if o.Detach {
		return s.waitReady(o, signals)
	}
	return s.wait(o, signals)
}

// A supervisor is the outside end of a world.
type supervisor struct {
	run    *run
	cmd    *exec.Cmd
	report *os.File
	up     atomic.Bool // PID 1 passes signals on
	ended  atomic.Bool // the user ended the world at once
	log    string      // file with the worker's output; "" where it has ours
}

// start starts PID 1. The caller's goroutine stays on its thread from then on:
// the death signal comes when the thread that made the child ends, not the
// process.
func start(r *run, o Options) (*supervisor, error) {
	files, err := inherited(r)
	if err != nil {
		return nil, err
	}
	defer closeAll(files[:2])
	report, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	files[initReport-3] = w
	conf, _ := os.ReadFile("/etc/resolv.conf") // none: no name servers
	s := &supervisor{run: r, report: report}
	c := exec.Command("/proc/self/exe")
	c.Args = os.Args
	c.Env = append(os.Environ(), marker+"="+encode(settings{
		Part: "init", ID: r.id, State: r.state, Nameservers: nameservers(string(conf)), AuditFault: audit.Fault()}))
	c.ExtraFiles = files
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID |
		unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS}
	if o.Detach {
		s.log = filepath.Join(r.dir, logFile)
		f, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		c.Stdout, c.Stderr = f, f
		c.SysProcAttr.Setsid = true
	} else {
		runtime.LockOSThread()
		c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
		c.SysProcAttr.Pdeathsig = unix.SIGKILL
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("make namespaces: %w", err)
	}
	s.cmd = c
	if err := r.record(c.Process.Pid, o.Detach); err != nil {
		c.Process.Kill()
		c.Wait()
		return nil, err
	}
	return s, nil
}

// inherited opens what PID 1 inherits; the report pipe's place is left empty.
func inherited(r *run) ([]*os.File, error) {
	hostNet, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	hostProc, err := os.Open("/proc")
	if err != nil {
		hostNet.Close()
		return nil, err
	}
	return []*os.File{hostNet, hostProc, nil, r.lock}, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// wait passes signals on until the world has ended, and removes its remains.
func (s *supervisor) wait(o Options, signals <-chan os.Signal) (int, error) {
	done := make(chan struct{})
	go s.passOn(signals, done)
	failure := make(chan error, 1)
	go func() { failure <- s.listen(func() { s.ready(o) }) }()

	err := s.cmd.Wait()
	close(done)
	ferr := <-failure
	rerr := s.run.remove()
	if ferr != nil {
		return 0, errors.Join(ferr, rerr)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return 0, errors.Join(err, rerr)
	}
	ws := s.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ws.Signaled() && s.ended.Load() {
		return interruptedStatus, rerr
	}
	if ws.Signaled() {
		return 128 + int(ws.Signal()), rerr
	}
	return ws.ExitStatus(), rerr
}

// interruptedStatus is how a world ends that its user ended by a signal, however
// much of a hurry he was in.
const interruptedStatus = 128 + int(unix.SIGINT)

// passOn hands the supervisor's signals to PID 1, until done.
func (s *supervisor) passOn(signals <-chan os.Signal, done <-chan struct{}) {
	asked := false
	for {
		select {
		case <-done:
			return
		case sig := <-signals:
			end := sig == unix.SIGINT || sig == unix.SIGTERM
			switch {
			case end && (asked || !s.up.Load()):
				s.ended.Store(true)
				s.cmd.Process.Kill()
			case sig == unix.SIGINT && !foreground():
				s.cmd.Process.Signal(interrupt)
			case sig == unix.SIGTERM || sig == unix.SIGHUP:
				s.cmd.Process.Signal(sig)
			}
			asked = asked || end
		}
	}
}

// foreground says whether this process belongs to those that the terminal sends
// its signals to; the world's processes do then, too.
func foreground() bool {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// listen reads what the world reports until it ends: the error that kept it from
// being made, if any.
func (s *supervisor) listen(ready func()) (failure error) {
	defer s.report.Close()
	d := json.NewDecoder(s.report)
	for {
		var m message
		if err := d.Decode(&m); err != nil {
			return failure
		}
		switch {
		case m.Error != "":
			failure = errors.New(m.Error)
		case m.Up:
			s.up.Store(true)
		case m.Ready:
			ready()
		}
	}
}

// ready tells the caller what the worker said.
func (s *supervisor) ready(o Options) {
	if o.Ready == nil {
		return
	}
	info, err := os.ReadFile(filepath.Join(s.run.dir, infoFile))
	if err == nil {
		o.Ready(info)
	}
}

// waitReady waits until a detached world is ready, or has ended before.
func (s *supervisor) waitReady(o Options, signals <-chan os.Signal) (int, error) {
	isReady, ended := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		ended <- s.listen(func() {
			select {
			case isReady <- struct{}{}:
			default:
			}
		})
	}()
	select {
	case <-isReady:
		s.ready(o)
		s.run.lock.Close() // PID 1 holds it on
		return 0, s.cmd.Process.Release()
	case failure := <-ended:
		s.cmd.Wait()
		return s.neverReady(failure)
	case <-signals:
		s.cmd.Process.Kill()
		s.cmd.Wait()
		return interruptedStatus, s.run.remove()
	}
}

// neverReady explains a detached world that ended too early. Where a worker ran,
// it gives its status beside the error.
func (s *supervisor) neverReady(failure error) (int, error) {
	if failure != nil {
		return 0, errors.Join(failure, s.run.remove())
	}
	said := lastLines(s.log, 20)
	status := s.cmd.ProcessState.ExitCode()
	err := fmt.Errorf("ended with exit status %d before it was ready:\n%s", status, said)
	return status, errors.Join(err, s.run.remove())
}

// lastLines gives the last n lines of the last 16 KiB of a file.
func lastLines(name string, n int) string {
	f, err := os.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	const most = 16 << 10
	if end, err := f.Seek(0, io.SeekEnd); err == nil {
		f.Seek(max(0, end-most), io.SeekStart)
	}
	b, _ := io.ReadAll(io.LimitReader(f, most))
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// writeFile writes a file so that a reader sees all of it or nothing.
func writeFile(name string, b []byte) error {
	tmp := fmt.Sprintf("%s.%d", name, time.Now().UnixNano())
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
