package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"road/internal/app"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// An attempt is one run of a container: it has a root file system, a cgroup and
// an OCI container of its own, which go when it has ended.
type attempt struct {
	p       *Pod
	c       *container
	id      string // of the OCI container
	bundle  string
	disk    string
	root    *rootfs
	cgroup  podCgroup
	spec    *specs.Spec
	env     []corev1.EnvVar // what the kubelet passes
	cmd     *exec.Cmd
	stdin   *os.File // held open for a container with stdin
	message string   // termination log
	volumes []string // the image's own, by destination
	watch   *watch   // nil where nobody wants to know what is opened

	steady atomic.Pointer[identity] // who serves, where that had to be waited for

	pid     int           // of its first process, here; 0 before it runs
	main    *os.Process   // the same, whoever has its number later; nil before it runs
	began   time.Time     //
	running chan struct{} // closed when the container's program runs
	exited  chan struct{} // closed when it has ended, or could not be started
	code    int           // exit status, 128+n for signal n; set before exited is closed
}

// A configError is a container that the kubelet would not create.
type configError struct{ err error }

func (e *configError) Error() string { return e.err.Error() }
func (e *configError) Unwrap() error { return e.err }

// prepare makes everything of an attempt but the process.
func (c *container) prepare(n int) (*attempt, error) {
	p := c.p
	name := c.spec.Name + "." + strconv.Itoa(n)
	a := &attempt{
		p: p, c: c, id: p.o.ID + "." + name,
		bundle: filepath.Join(p.dir, name), disk: filepath.Join(p.disk, name),
		cgroup: p.cgroup.child(name), running: make(chan struct{}), exited: make(chan struct{}),
	}
	img := p.o.Images[c.spec.Image]
	if img == nil {
		return nil, &configError{fmt.Errorf("image %q is not prepared", c.spec.Image)}
	}
	if err := p.verifyNonRoot(c.spec, img.Config.User); err != nil {
		return nil, &configError{err}
	}
	env, err := p.environment(c.spec)
	if err != nil {
		return nil, &configError{err}
	}
	for _, d := range []string{a.bundle, a.disk} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return nil, err
		}
	}
	a.env = env
	ms, err := a.mounts(env, img.Config.Volumes)
	if err != nil {
		return a, &configError{err}
	}
	points, err := mountPoints(ms, cwd(c.spec, &img.Config))
	if err != nil {
		return a, err
	}
	if a.root, err = p.makeRootfs(a.bundle, a.disk, img.Lowers, points); err != nil {
		return a, err
	}
	if err := a.fillImageVolumes(); err != nil {
		return a, err
	}
	if a.spec, err = a.bundleSpec(&img.Config, env, ms); err != nil {
		return a, &configError{err}
	}
	b, err := json.Marshal(a.spec)
	if err != nil {
		return a, err
	}
	return a, os.WriteFile(filepath.Join(a.bundle, "config.json"), b, 0o600)
}

// start runs the container in the foreground of its own runc, which keeps the
// exit status, and with --keep, so that its cgroup can still be asked what
// killed it.
func (a *attempt) start() error {
	a.cmd = exec.Command(a.p.o.Runtime, "--root", a.p.o.RuncRoot, "--log", a.logFile(), "--log-format", "json",
		"run", "--keep", "--pid-file", a.pidFile(), "--bundle", a.bundle, a.id)
	a.cmd.Stdout, a.cmd.Stderr = a.c.log, a.c.log
	a.cmd.WaitDelay = 2 * time.Second // an orphan may hold the pipe
	if a.c.spec.Stdin {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer r.Close()
		a.cmd.Stdin, a.stdin = r, w
	}
	a.watchOpens()
	a.began = time.Now()
	if err := a.startTraced(a.cmd); err != nil {
		return fmt.Errorf("%s: %w", a.p.o.Runtime, err)
	}
	go func() {
		a.cmd.Wait()
		a.code = a.cmd.ProcessState.ExitCode()
		close(a.exited)
	}()
	return a.awaitRunning()
}

// watchOpens begins to tell what the container opens. Where the kernel cannot
// say, nobody learns it, and the container runs all the same.
func (a *attempt) watchOpens() {
	if a.p.o.Opened == nil {
		return
	}
	lose := func(err error) {
		a.p.note("container %s: what it opens cannot be seen: %v", a.c.spec.Name, err)
		if a.p.o.Unseen != nil {
			a.p.o.Unseen(a.c.spec.Name, err)
		}
	}
	var err error
	lowers := a.p.o.Images[a.c.spec.Image].Lowers
	a.watch, err = watchOpens(a.root.root, func(o Open) {
		if inLayers(lowers, o.Name) {
			a.p.o.Opened(a.c.spec.Name, o)
		}
	}, lose)
	if err != nil {
		lose(err)
	}
}

func (a *attempt) logFile() string { return filepath.Join(a.bundle, "runtime.log") }
func (a *attempt) pidFile() string { return filepath.Join(a.bundle, "pid") }

// stuckRuntime is how long the runtime may go on starting a container that is
// no longer wanted. Cutting it short would leave more to clean up.
const stuckRuntime = 5 * time.Second

// awaitRunning waits for the pid file, which the runtime writes when the
// container's program has been started.
func (a *attempt) awaitRunning() error {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	hurry := a.p.ctx.Done()
	var stuck <-chan time.Time
	for {
		ended := false
		select {
		case <-a.exited:
			ended = true
		case <-tick.C:
		case <-hurry:
			hurry, stuck = nil, time.After(stuckRuntime)
			continue
		case <-stuck:
			a.cmd.Process.Kill()
			a.cgroup.kill()
			stuck = nil
			continue
		}
		b, err := os.ReadFile(a.pidFile())
		if pid, perr := strconv.Atoi(string(b)); err == nil && perr == nil && pid > 0 {
			a.pid = pid
			if a.main, err = os.FindProcess(pid); err != nil {
				return err
			}
			close(a.running)
			return nil
		}
		if ended {
			return errors.New(a.runtimeError())
		}
	}
}

// runtimeError is the last error in the runtime's log.
func (a *attempt) runtimeError() string {
	msg := lastError(a.logFile(), fmt.Sprintf("%s: exit status %d", a.p.o.Runtime, a.code))
	if strings.Contains(msg, "memory limit") || strings.Contains(msg, "already dead") {
		if m := a.spec.Linux.Resources.Memory; m != nil {
			msg += fmt.Sprintf(" (the memory limit of %d bytes may be too small for the runtime)", *m.Limit)
		}
	}
	return msg
}

// signal sends sig to the container's first process.
func (a *attempt) signal(sig unix.Signal) {
	select {
	case <-a.exited:
	case <-a.running:
		a.main.Signal(sig)
	}
}

// alive says whether the container's first process has not ended, and so whether
// what was opened by its number a moment ago is its own.
func (a *attempt) alive() bool { return a.main.Signal(unix.Signal(0)) == nil }

// kill ends every process of the container at once.
func (a *attempt) kill() {
	a.signal(unix.SIGKILL)
	if a.p.sharesPID() {
		a.cgroup.kill()
	}
}

// terminate ends the container within grace seconds: the preStop hook, then the
// stop signal, then SIGKILL. hurry ends the wait.
func (a *attempt) terminate(grace int64, hurry <-chan struct{}) {
	if grace <= 0 {
		a.kill()
		<-a.exited
		return
	}
	end := time.NewTimer(time.Duration(grace) * time.Second)
	defer end.Stop()
	hook := make(chan struct{})
	go func() { defer close(hook); a.preStop(grace) }()
	select {
	case <-hook:
	case <-hurry:
	case <-end.C:
		end.Reset(2 * time.Second) // what the kubelet leaves a container at least
	case <-a.exited:
	}
	a.signal(a.stopSignal())
	select {
	case <-a.exited:
	case <-hurry:
	case <-end.C:
	}
	a.kill()
	<-a.exited
}

// stopSignal is the container's own, else the image's, else SIGTERM.
func (a *attempt) stopSignal() unix.Signal {
	name := a.p.o.Images[a.c.spec.Image].Config.StopSignal
	if l := a.c.spec.Lifecycle; l != nil && l.StopSignal != nil {
		name = string(*l.StopSignal)
	}
	return parseSignal(name)
}

// parseSignal understands "SIGQUIT", "QUIT", "3" and, as the runtimes do,
// "SIGRTMIN+3".
func parseSignal(name string) unix.Signal {
	if n, err := strconv.Atoi(name); err == nil && n > 0 {
		return unix.Signal(n)
	}
	name = "SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG")
	if s := unix.SignalNum(name); s != 0 {
		return s
	}
	if n, err := strconv.Atoi(strings.TrimPrefix(name, "SIGRTMIN+")); err == nil {
		return unix.Signal(34 + n)
	}
	return unix.SIGTERM
}

// An ending is what is known of an attempt when it is over.
type ending struct {
	counters
	code    int
	lived   time.Duration
	message string
	writes  map[string]app.Write
	bytes   int64
}

// finish collects what the attempt left behind and removes it. The process must
// have ended.
func (a *attempt) finish() (ending, error) {
	e := ending{code: a.code, lived: time.Since(a.began), message: a.readMessage()}
	if a.p.sharesPID() {
		a.cgroup.kill()
	}
	e.counters = a.cgroup.read()
	if a.root != nil {
		e.writes, e.bytes = a.written()
	}
	return e, a.remove()
}

// readMessage reads the termination log, the end of the output where the
// container asks for it.
func (a *attempt) readMessage() string {
	b := readEnd(a.message, messageLimit)
	if len(b) == 0 && a.code != 0 && a.c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		return a.c.log.lines(80)
	}
	return strings.TrimSpace(string(b))
}

// messageLimit is how much of the termination log the kubelet reads: the end.
const messageLimit = 4096

// readEnd gives the last limit bytes of a file, which may be as large as its
// writer liked.
func readEnd(name string, limit int64) []byte {
	f, err := os.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	if end, err := f.Seek(0, io.SeekEnd); err != nil || end > limit {
		if _, err := f.Seek(-limit, io.SeekEnd); err != nil {
			return nil
		}
	} else if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil
	}
	b, _ := io.ReadAll(io.LimitReader(f, limit))
	return b
}

// forget has the runtime know nothing of the container any more. Of one whose
// process has ended, all that its delete would find is a directory of its state:
// removing that here spares a process for every container.
func (a *attempt) forget(ended bool) error {
	state := filepath.Join(a.p.o.RuncRoot, a.id)
	if _, err := os.Stat(state); err != nil {
		return nil
	}
	if ended {
		return os.RemoveAll(state)
	}
	return a.p.deleteContainer(a.id)
}

// deleteContainer has the runtime end a container and forget it.
func (p *Pod) deleteContainer(id string) error {
	out, err := exec.Command(p.o.Runtime, "--root", p.o.RuncRoot, "delete", "--force", id).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s delete %s: %s", p.o.Runtime, id, strings.TrimSpace(string(out)))
	}
	return nil
}

// remove takes away the OCI container, its cgroup, mounts and directories.
func (a *attempt) remove() error {
	var errs []error
	if a.stdin != nil {
		a.stdin.Close()
	}
	ended := a.main != nil && !a.alive()
	if a.main != nil {
		a.main.Release()
	}
	if a.cmd != nil {
		errs = append(errs, a.forget(ended))
	}
	if a.watch != nil {
		a.watch.close()
	}
	errs = append(errs, a.cgroup.remove())
	errs = append(errs, unmountBelow(a.bundle))
	if err := errors.Join(errs...); err != nil {
		return err // nothing is removed below a mount that stays: it may be a claim
	}
	return errors.Join(os.RemoveAll(a.bundle), os.RemoveAll(a.disk))
}
