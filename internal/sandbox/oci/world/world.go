// Package world makes the place that a run of road lives in: a child of ours in
// mount, pid, network, ipc and uts namespaces of its own. Everything that the
// run starts, mounts or configures is inside, so that the kernel takes all of it
// away when any of the run's processes dies, however it dies. The host's mounts,
// links, routes and firewall are never touched.
//
// Three processes carry a world, all of them the same program with the same
// arguments: the supervisor outside (Enter), PID 1 inside, which only reaps, and
// the worker, its child, which does the work and finds its World with Inside.
//
// Only two things can stay behind: the run's cgroup directories and its
// directory below the state directory. Both carry the run's name, and a lock
// says whether the run lives, so Sweep can remove what dead runs left.
package world

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A World is what the worker knows of the world around it.
type World struct {
	ID    string // "road-3f9a1c02": names everything of this run that the host can see
	State string // the state directory, shared by all runs

	// Run is a private tmpfs for sockets, pinned namespaces and bundles. Disk
	// is a directory on the host's disk for what is too big for memory. Both have
	// mode 0711, and so have all directories above them inside the world: the
	// root of a user namespace is nobody special in them, yet must pass.
	Run, Disk string

	// Cgroup is the parent of every cgroup of this run, from the root of each
	// hierarchy: "/road-3f9a1c02". Node, below it, is the parent of all pods,
	// and holds them as a small node would.
	Cgroup, Node string

	// HostProc is the host's /proc, for this process alone.
	HostProc string

	// HostNet is the host's network namespace.
	HostNet int

	// Nameservers are the addresses of the host's own name servers.
	Nameservers []string

	// AuditFault is what audit.Fault said of the host.
	AuditFault string

	worker string   // cgroup of this process, "" where it has none of its own
	report *os.File // to the supervisor
}

// Descriptors that the worker inherits, in order.
const (
	workerHostNet = 3 + iota
	workerHostProc
	workerReport
)

var inside *World

// Inside gives the world that this process works in, nil outside of one.
func Inside() *World { return inside }

// arrive fills in inside from what PID 1 handed to this process.
func arrive(s settings) {
	unix.Umask(0o022) // as a node's daemons have it: what they make, containers read
	for _, fd := range []int{workerHostNet, workerHostProc, workerReport} {
		unix.CloseOnExec(fd)
	}
	inside = &World{
		ID:          s.ID,
		State:       s.State,
		Run:         runDir,
		Disk:        diskDir,
		Cgroup:      "/" + s.ID,
		Node:        "/" + s.ID + "/" + nodeCgroup,
		HostProc:    fmt.Sprintf("/proc/self/fd/%d", workerHostProc),
		HostNet:     workerHostNet,
		Nameservers: s.Nameservers,
		AuditFault:  s.AuditFault,
		report:      os.NewFile(workerReport, "report"),
	}
	inside.apart()
	spread(inside.Disk)
}

// Ready says that the run now does what it was started for. It keeps info for
// List, and lets go an Enter that waits for a detached world.
func (w *World) Ready(info any) error {
	b, err := json.Marshal(info)
	if err != nil {
		return fmt.Errorf("describe the run: %w", err)
	}
	dir := filepath.Join(runsDir(w.State), w.ID)
	if err := writeFile(filepath.Join(dir, infoFile), b); err != nil {
		return err
	}
	return json.NewEncoder(w.report).Encode(message{Ready: true})
}

// HostPID gives the host's number of a process that has number pid in here. The
// process must not have been reaped.
func (w *World) HostPID(pid int) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	// The kernel writes a pidfd's number as the /proc that is asked counts.
	b, err := os.ReadFile(fmt.Sprintf("%s/self/fdinfo/%d", w.HostProc, fd))
	if err != nil {
		return 0, err
	}
	n, err := field(b, "Pid:")
	if err != nil {
		return 0, fmt.Errorf("process %d: %w", pid, err)
	}
	if n <= 0 {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	return n, nil
}
