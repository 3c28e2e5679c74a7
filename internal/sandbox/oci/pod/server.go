package pod

import (
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// An identity is what the kernel lets a process do, as /proc/PID/status shows it.
// The ids are the node's.
type identity struct {
	uid, gid            uint32
	groups              []uint32
	permitted, bounding uint64
	noNewPrivs          bool
	settled             bool // no other user or group is left to go back to
}

// readIdentity reads the text of a status file.
func readIdentity(status string) (identity, error) {
	var id identity
	seen := 0
	equal := func(f []string) bool { return len(f) == 4 && f[0] == f[1] && f[1] == f[2] && f[2] == f[3] }
	for line := range strings.Lines(status) {
		name, rest, _ := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name == "Groups" {
			for _, g := range f {
				id.groups = append(id.groups, number(g))
			}
			continue
		}
		if len(f) == 0 {
			continue
		}
		seen++
		switch name {
		case "Uid":
			id.uid, id.settled = number(f[0]), equal(f)
		case "Gid":
			id.gid, id.settled = number(f[0]), id.settled && equal(f)
		case "CapPrm":
			id.permitted, _ = strconv.ParseUint(f[0], 16, 64)
		case "CapBnd":
			id.bounding, _ = strconv.ParseUint(f[0], 16, 64)
		case "NoNewPrivs":
			id.noNewPrivs = f[0] == "1"
		default:
			seen--
		}
	}
	if seen != 5 {
		return id, fmt.Errorf("the status of a process has %d of 5 lines", seen)
	}
	slices.Sort(id.groups)
	return id, nil
}

func number(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// started is the identity that the runtime gave the container's first process.
func (a *attempt) started() identity {
	s, root := a.spec.Process, uint32(a.p.root())
	id := identity{uid: root + s.User.UID, gid: root + s.User.GID, noNewPrivs: s.NoNewPrivileges, settled: true}
	for _, g := range s.User.AdditionalGids {
		id.groups = append(id.groups, root+g)
	}
	slices.Sort(id.groups)
	for _, name := range s.Capabilities.Bounding {
		if n := slices.Index(cap.Known(), name); n >= 0 {
			id.bounding |= 1 << n
		}
	}
	if s.User.UID == 0 {
		id.permitted = id.bounding
	}
	return id
}

// likeServer gives the process settings of the container's server, which an entry
// point may have changed after the runtime started it, and says how they differ,
// "" where they do not. Code that gets into a server has what the server has.
func (a *attempt) likeServer() (specs.Process, string) {
	process := *a.spec.Process
	pid := a.server()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return process, ""
	}
	now, err := readIdentity(string(b))
	was := a.started()
	// Who may do more than what the runtime started is not the server yet, but the
	// runtime on its way there.
	more := now.permitted&^was.permitted != 0 || now.bounding&^was.bounding != 0
	if err != nil || !now.settled || more || same(now, was) {
		return process, ""
	}
	root := uint32(a.p.root())
	process.User = specs.User{UID: now.uid - root, GID: now.gid - root, Umask: process.User.Umask}
	for _, g := range now.groups {
		process.User.AdditionalGids = append(process.User.AdditionalGids, g-root)
	}
	permitted := capNames(now.permitted)
	process.Capabilities = &specs.LinuxCapabilities{Bounding: capNames(now.bounding), Permitted: permitted, Effective: permitted}
	if process.User.UID != 0 {
		// What a user other than root holds is lost when a program is started, unless
		// it is ambient.
		process.Capabilities.Inheritable, process.Capabilities.Ambient = permitted, permitted
	}
	process.NoNewPrivileges = now.noNewPrivs
	return process, difference(now, was, root)
}

func same(x, y identity) bool {
	return x.uid == y.uid && x.gid == y.gid && slices.Equal(x.groups, y.groups) && x.permitted == y.permitted &&
		x.bounding == y.bounding && x.noNewPrivs == y.noNewPrivs
}

// difference says what an entry point did.
func difference(now, was identity, root uint32) string {
	s := fmt.Sprintf("uid %d, gid %d", now.uid-root, now.gid-root)
	switch {
	case was.uid == root && now.uid != root:
		return s + ": the entry point drops root"
	case was.uid != now.uid || was.gid != now.gid:
		return s + fmt.Sprintf(": the entry point begins as uid %d, gid %d", was.uid-root, was.gid-root)
	case was.permitted != now.permitted || was.bounding != now.bounding:
		return s + fmt.Sprintf(": the entry point keeps %d of %d capabilities", bits.OnesCount64(now.permitted), bits.OnesCount64(was.permitted))
	case now.noNewPrivs && !was.noNewPrivs:
		return s + ": the entry point gives up new privileges"
	}
	return s + ": the entry point changes its groups"
}

func capNames(set uint64) []string {
	var names []string
	for i, n := range cap.Known() {
		if set&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// ServesAs says who serves in a container, and so who an Agent is, where that is
// not who the runtime started: "uid 999, gid 999: the entry point drops root".
func (p *Pod) ServesAs(name string) string {
	a, err := p.attempt(name)
	if err != nil {
		return ""
	}
	_, differs := a.likeServer()
	return differs
}

// server finds the process that serves: one that listens, and of a chain of those
// the last, since a master hands what it listens on to workers, who do the work;
// of several workers the oldest. Where none listens it is the first process.
func (a *attempt) server() int {
	tree := a.tree()
	listens := map[int]bool{}
	for pid := range tree {
		if listening(pid) {
			listens[pid] = true
		}
	}
	chosen := 0
	for pid := range listens {
		worker := true
		for child, parent := range tree {
			worker = worker && !(parent == pid && listens[child])
		}
		if worker && (chosen == 0 || born(pid) < born(chosen)) {
			chosen = pid
		}
	}
	if chosen == 0 {
		return a.pid
	}
	return chosen
}

// tree gives the container's first process and all below it, each with its
// parent. What was started from outside is not among them.
func (a *attempt) tree() map[int]int {
	parents := map[int]int{}
	for _, pid := range a.cgroup.procs() {
		if f := statFields(pid); len(f) > 1 {
			parents[pid], _ = strconv.Atoi(f[1])
		}
	}
	tree := map[int]int{}
	for pid := range parents {
		for at, n := pid, 0; at != 0 && n <= len(parents); at, n = parents[at], n+1 {
			if at == a.pid {
				tree[pid] = parents[pid]
				break
			}
		}
	}
	return tree
}

// statFields gives /proc/PID/stat behind the program's name, which may hold
// anything: the state, the parent, and the time of birth as the 20th.
func statFields(pid int) []string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
}

// born is when a process began, in ticks since the machine did.
func born(pid int) uint64 {
	f := statFields(pid)
	if len(f) < 20 {
		return 1<<64 - 1
	}
	n, _ := strconv.ParseUint(f[19], 10, 64)
	return n
}
