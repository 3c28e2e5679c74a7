package world

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where things are inside a world. The tmpfs lies over /dev/shm because that is
// everywhere, every directory above it can be passed by anyone, and no one's
// project is kept in it. The host's own is hidden, in here only.
const (
	tmpfsDir = "/dev/shm"
	runDir   = tmpfsDir + "/run"
	diskDir  = tmpfsDir + "/disk"
)

// marker is the environment variable by which a process learns that it was
// started as a part of a world. It is removed before anything else runs.
const marker = "ROAD_WORLD"

// settings is the marker's value.
type settings struct {
	Part        string // "init" or "worker"
	ID          string
	State       string
	Nameservers []string
	AuditFault  string
}

// message is a line to the supervisor.
type message struct {
	Up    bool   `json:"up,omitempty"`    // PID 1 passes signals on from now on
	Ready bool   `json:"ready,omitempty"` // the worker does what it was started for
	Error string `json:"error,omitempty"` // the world could not be made
}

// Descriptors that PID 1 inherits, in order.
const (
	initHostNet = 3 + iota
	initHostProc
	initReport
	initLock // held, never used: it is free when PID 1 is gone
)

// Main takes over a process that was started as a part of a world. Call it first
// in main, and in TestMain. In PID 1 it never returns; in the worker it makes
// Inside answer; in any other process it does nothing.
func Main() {
	v, ok := os.LookupEnv(marker)
	if !ok {
		return
	}
	os.Unsetenv(marker)
	var s settings
	if json.Unmarshal([]byte(v), &s) != nil {
		return
	}
	switch {
	case s.Part == "init" && os.Getpid() == 1:
		os.Exit(initMain(s))
	case s.Part == "worker":
		arrive(s)
	}
}

// initMain is PID 1: it sets the world up, starts the worker and reaps until
// that ends. It gives the worker's exit status.
func initMain(s settings) int {
	report := os.NewFile(initReport, "report")
	for _, fd := range []int{initHostNet, initHostProc, initReport, initLock} {
		unix.CloseOnExec(fd)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, interrupt)
	pid, err := 0, setUp(s)
	if err == nil {
		pid, err = startWorker(s)
	}
	if err != nil {
		json.NewEncoder(report).Encode(message{Error: err.Error()})
		return 1
	}
	go passOn(signals, pid)
	json.NewEncoder(report).Encode(message{Up: true})
	report.Close()
	return reap(pid)
}

// setUp makes the mounts of a world.
func setUp(s settings) error {
	// Slave, not private: what the host unmounts goes away here too, instead of
	// being kept busy by us.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("detach the mounts: %w", err)
	}
	const strict = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("proc", "/proc", "proc", strict, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := unix.Mount("road", tmpfsDir, "tmpfs", 0, "mode=0711,size=256m"); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", tmpfsDir, err)
	}
	for _, d := range []string{runDir, diskDir} {
		if err := makeDir(d, 0o711); err != nil {
			return err
		}
	}
	disk := filepath.Join(runsDir(s.State), s.ID, diskName)
	if err := unix.Mount(disk, diskDir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", disk, err)
	}
	// A host may mount the file system of its state nosuid, nodev or noexec. A
	// volume that kept this would hold back what a cluster does not: an attack
	// would be blocked, or the application broken, by the host. In a user
	// namespace that may not change it, it stays.
	if err := unix.Mount("", diskDir, "", unix.MS_REMOUNT|unix.MS_BIND, ""); err != nil && err != unix.EPERM {
		return fmt.Errorf("remount %s: %w", diskDir, err)
	}
	return nil
}

// startWorker runs this program again, as the worker.
func startWorker(s settings) (pid int, err error) {
	s.Part = "worker"
	pid, err = syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Env: append(os.Environ(), marker+"="+encode(s)),
		Files: []uintptr{0, 1, 2, // in the order of the worker's descriptors
			initHostNet, initHostProc, initReport},
	})
	if err != nil {
		return 0, fmt.Errorf("start the worker: %w", err)
	}
	return pid, nil
}

// interrupt is how the supervisor has PID 1 send SIGINT to the worker. A plain
// SIGINT is not passed on: it comes from the terminal, to all processes in its
// foreground, and so to the worker too.
const interrupt = unix.SIGUSR1

// passOn gives the worker the signals that only the supervisor was sent.
func passOn(signals <-chan os.Signal, worker int) {
	for s := range signals {
		switch s {
		case interrupt:
			unix.Kill(worker, unix.SIGINT)
		case unix.SIGTERM, unix.SIGHUP:
			unix.Kill(worker, s.(syscall.Signal))
		}
	}
}

// reap waits for every child until the worker ends, and gives its exit status,
// as a shell would: 128+n for signal n.
func reap(worker int) int {
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return 1
		case pid != worker:
		case ws.Signaled():
			return 128 + int(ws.Signal())
		default:
			return ws.ExitStatus()
		}
	}
}

func encode(s settings) string {
	b, _ := json.Marshal(s) // strings only: cannot fail
	return string(b)
}

// nameservers reads the addresses of name servers from a resolv.conf.
func nameservers(conf string) []string {
	var a []string
	for line := range strings.Lines(conf) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			a = append(a, f[1])
		}
	}
	return a
}
