package pod

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

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
func (a *attempt) likeServer(ctx context.Context) (specs.Process, string, error) {
	process := *a.spec.Process
	now, err := a.serves(ctx)
	if err != nil {
		return process, "", fmt.Errorf("who serves in container %s is not known: %w", a.c.spec.Name, err)
	}
	was := a.started()
	if !now.settled || same(now, was) {
		return process, "", nil
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
	return process, difference(now, was, root), nil
}

// Until something listens an entry point may still be root, on its way to the
// server. One that stays the same for steadyTime is taken to be there;
// after settleLimit it is given up.
const (
	steadyTime  = time.Second
	settleLimit = 3 * time.Second
)

// serves is the identity of the container's server, when it is settled.
func (a *attempt) serves(ctx context.Context) (identity, error) {
	limit, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	var last identity
	var since time.Time
	for {
		now, sure, err := a.servesNow()
		switch {
		case err == nil && (sure || a.isSteady(now)):
			return now, nil
		case err != nil || since.IsZero() || now.settled != last.settled || !same(now, last):
			last, since = now, time.Now()
		case time.Since(since) >= steadyTime:
			a.steady.Store(&now)
			return now, nil
		}
		select {
		case <-a.exited:
			return now, errors.New("it has ended")
		case <-limit.Done():
			if err == nil {
				err = fmt.Errorf("it goes on changing its user: %w", limit.Err())
			}
			return now, err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// servesNow is the identity of what may be the server; sure says that it is: it
// listens, or is not root from the start, or is the probe, which holds the place of
// a program that would have ended.
func (a *attempt) servesNow() (id identity, sure bool, err error) {
	pid, listens, err := a.server()
	if err != nil {
		return id, false, err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return id, false, err
	}
	if id, err = readIdentity(string(b)); err != nil {
		return id, false, err
	}
	was := a.started()
	unchanged := id.settled && same(id, was)
	return id, listens || unchanged && (was.uid != uint32(a.p.root()) || a.spec.Process.Args[0] == ProbeDestination), nil
}

// isSteady says whether id was waited for before.
func (a *attempt) isSteady(id identity) bool {
	s := a.steady.Load()
	return s != nil && s.settled == id.settled && same(*s, id)
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

// server finds the process that serves: one that listens, and of a chain of those
// the last, since a master hands what it listens on to workers, who do the work;
// of several workers the oldest. Where none listens it is the first process.
func (a *attempt) server() (pid int, listens bool, err error) {
	ports, err := a.p.listeners()
	if err != nil {
		return 0, false, err
	}
	tree := a.tree()
	listening := map[int]bool{}
	for pid := range tree {
		if len(portsOf(pid, ports)) > 0 {
			listening[pid] = true
		}
	}
	chosen := 0
	for pid := range listening {
		worker := true
		for child, parent := range tree {
			worker = worker && !(parent == pid && listening[child])
		}
		if worker && (chosen == 0 || born(pid) < born(chosen)) {
			chosen = pid
		}
	}
	if chosen == 0 {
		return a.pid, false, nil
	}
	return chosen, true, nil
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
