package pod

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"road/internal/sandbox"
	"road/internal/sandbox/oci/filter"

	"golang.org/x/sys/unix"
)

// Node is what the host sees of one container: a sandbox.Node.
type Node struct {
	p *Pod
	c *container
}

// Node gives the host's view of a container; name "" is the first normal one.
func (p *Pod) Node(name string) (*Node, error) {
	c, err := p.container(name)
	if err != nil {
		return nil, err
	}
	return &Node{p, c}, nil
}

var _ sandbox.Node = (*Node)(nil)

// Stat shows a file of the container as the host sees it, with the host's owner.
// A link is followed inside the container's root, never out of it.
func (n *Node) Stat(name string) (sandbox.File, error) {
	fd, err := n.open(name, unix.O_PATH)
	if err != nil {
		return sandbox.File{}, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return sandbox.File{}, &os.PathError{Op: "stat", Path: name, Err: err}
	}
	kind := st.Mode & unix.S_IFMT
	return sandbox.File{
		UID: int(st.Uid), GID: int(st.Gid), Mode: st.Mode & 0o7777, Size: st.Size,
		Device: kind == unix.S_IFCHR || kind == unix.S_IFBLK,
	}, nil
}

// ReadFile reads at most limit bytes of a regular file of the container.
func (n *Node) ReadFile(name string, limit int64) ([]byte, error) {
	// O_NONBLOCK: a pipe that the container put there must not hold us up.
	fd, err := n.open(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: name, Err: fmt.Errorf("not a regular file")}
	}
	return io.ReadAll(io.LimitReader(f, limit))
}

// open opens a path inside the container's own mounts.
func (n *Node) open(name string, flags uint64) (int, error) {
	a := n.c.current()
	if a == nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: fmt.Errorf("container %s is not running", n.c.spec.Name)}
	}
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", a.pid), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	defer unix.Close(root)
	if !a.alive() {
		return -1, &os.PathError{Op: "open", Path: name, Err: fmt.Errorf("container %s has just ended", n.c.spec.Name)}
	}
	fd, err := unix.Openat2(root, name, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: name, Err: err}
	}
	return fd, nil
}

// Filter counts what the container's filter lets through.
func (n *Node) Filter() (sandbox.Filter, error) {
	f, err := n.p.Filter(n.c.spec.Name)
	if err != nil {
		return sandbox.Filter{}, err
	}
	return filter.Count(f), nil
}

// Processes lists the container's processes with their PIDs on the host, those
// that Exec started included.
func (n *Node) Processes() ([]sandbox.Process, error) {
	a := n.c.current()
	if a == nil {
		return nil, fmt.Errorf("container %s is not running", n.c.spec.Name)
	}
	var ps []sandbox.Process
	for _, own := range a.cgroup.procs() {
		pid, err := n.p.o.HostPID(own)
		if err != nil {
			continue // it has ended
		}
		dir := filepath.Join(n.p.o.HostProc, strconv.Itoa(pid))
		b, err := os.ReadFile(filepath.Join(dir, "cgroup"))
		if err != nil || !inCgroup(string(b), a.cgroup.path) {
			continue // another has its number by now
		}
		if q, ok := readProcess(dir, pid); ok {
			ps = append(ps, q)
		}
	}
	if len(ps) == 0 && a.alive() {
		return nil, fmt.Errorf("no process of container %s can be seen", n.c.spec.Name)
	}
	slices.SortFunc(ps, func(p, q sandbox.Process) int { return p.PID - q.PID })
	return ps, nil
}

// inCgroup says whether /proc/PID/cgroup names path or a group below it.
func inCgroup(text, path string) bool {
	for _, line := range strings.Split(text, "\n") {
		_, rest, _ := strings.Cut(line, ":")
		_, group, ok := strings.Cut(rest, ":")
		if ok && (group == path || strings.HasPrefix(group, path+"/")) {
			return true
		}
	}
	return false
}

// readProcess reads one directory of the host's /proc; not ok means that the
// process is gone.
func readProcess(dir string, pid int) (sandbox.Process, bool) {
	b, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return sandbox.Process{}, false
	}
	p := sandbox.Process{PID: pid, Inside: pid}
	for _, line := range strings.Split(string(b), "\n") {
		f := strings.Fields(line)
		switch {
		case len(f) > 2 && f[0] == "Uid:":
			p.UID, _ = strconv.Atoi(f[2])
		case len(f) > 2 && f[0] == "Gid:":
			p.GID, _ = strconv.Atoi(f[2])
		case len(f) > 1 && f[0] == "NSpid:":
			p.Inside, _ = strconv.Atoi(f[len(f)-1])
		}
	}
	p.Exe, _ = os.Readlink(filepath.Join(dir, "exe"))
	args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
	p.Command = string(bytes.ReplaceAll(bytes.TrimRight(args, "\x00"), []byte{0}, []byte{' '}))
	return p, true
}

// Usage is what the pod's cgroup counts, runs that are over included.
func (n *Node) Usage() (sandbox.Usage, error) { return n.p.Usage() }

// Usage is what the pod's cgroup counts, runs that are over included. Kills and
// held-back periods are counted by each container's own group.
func (p *Pod) Usage() (sandbox.Usage, error) {
	top := p.cgroup.read()
	if !top.exists {
		return sandbox.Usage{}, fmt.Errorf("cgroup %s is gone", p.cgroup.path)
	}
	u := sandbox.Usage{AnonBytes: top.anon, CPU: top.cpu, Processes: top.pids}
	if !p.cgroup.unified {
		// Version 1 counts a group's own events only; 2 counts those below too,
		// and a group that is gone stays in its parent's sum.
		u.OOMKills, u.Throttled, u.Full = top.oomKills, top.throttled, top.full
		for _, c := range p.all {
			c.mu.Lock()
			past, a := c.past, c.run
			c.mu.Unlock()
			u.OOMKills += past.oomKills
			u.Full = u.Full || past.full
			u.Throttled += past.throttled
			if a != nil {
				own := a.cgroup.read()
				u.OOMKills += own.oomKills
				u.Full = u.Full || own.full
				u.Throttled += own.throttled
			}
		}
	} else {
		u.OOMKills, u.Throttled, u.Full = top.oomKills, top.throttled, top.full
	}
	return u, nil
}
