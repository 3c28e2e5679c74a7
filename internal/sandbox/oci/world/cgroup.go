package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupRoot is where hosts mount their cgroup hierarchies.
const cgroupRoot = "/sys/fs/cgroup"

// A node holds all pods of an application as a small node's kernel would, so
// that a bomb that a pod has no limit for is held here and not by the host, nor
// felt by the applications that run beside. All nodes of a run lie in one cgroup.
const (
	nodeCgroup   = "node"
	workerCgroup = "worker"
	nodeBytes    = 2 << 30 // of memory, where nothing more is wanted
	nodePIDs     = 512     // processes and threads
	allPIDs      = 16 * nodePIDs
)

// limit is one file of a cgroup and what is written there.
type limit struct {
	file, value string
	optional    bool // kernels may be built without it
}

// nodeMemory is the memory of a node whose pods may use wanted bytes by their own
// limits, on a host with total bytes. Only one node has a bomb at a time, and it has
// to meet its own limit before that of all nodes, where the kernel would choose its
// victim among applications that have none. So one node gets at most half of what
// all have, and the others can use as much.
func nodeMemory(total, wanted uint64) string {
	return strconv.FormatUint(min(max(nodeBytes, wanted), total/4), 10)
}

// totalMemory is the host's memory in bytes.
func totalMemory() uint64 {
	var i unix.Sysinfo_t
	if unix.Sysinfo(&i) != nil {
		return 2 * nodeBytes
	}
	return uint64(i.Totalram) * uint64(i.Unit)
}

// Memory is that of all nodes of a run together, in bytes.
func (w *World) Memory() int64 { return int64(totalMemory() / 2) }

// allMemory is that of all nodes together: never more than half, or a bomb would be
// the host's to deal with.
func allMemory(total uint64) string { return strconv.FormatUint(total/2, 10) }

// nodeLimits gives, per hierarchy of cgroup v1, the files of a node's cgroup.
// The cgroup of cpu has no limit of its own: weights share it out below.
func nodeLimits(memory string, pids int) map[string][]limit {
	return map[string][]limit{
		"memory": {
			{file: "memory.limit_in_bytes", value: memory},
			{file: "memory.memsw.limit_in_bytes", value: memory, optional: true},
		},
		"pids": {{file: "pids.max", value: strconv.Itoa(pids)}},
		"cpu":  nil,
	}
}

// nodeLimits2 is the same for cgroup v2.
func nodeLimits2(memory string, pids int) []limit {
	return []limit{
		{file: "memory.max", value: memory},
		{file: "memory.swap.max", value: "0", optional: true},
		{file: "pids.max", value: strconv.Itoa(pids)},
	}
}

// unified says whether root is a cgroup v2 hierarchy.
func unified(root string) bool {
	_, err := os.Stat(filepath.Join(root, "cgroup.controllers"))
	return err == nil
}

// makeCgroups makes a run's cgroups with the limits of all nodes, in a fresh
// directory of every hierarchy that matters.
func makeCgroups(root, id string) error {
	if unified(root) {
		return makeCgroups2(root, id)
	}
	limits := nodeLimits(allMemory(totalMemory()), allPIDs)
	return eachHierarchy(root, func(h, base string) error {
		dir := filepath.Join(base, id)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("make cgroup: %w", err)
		}
		return makeNode(filepath.Join(dir, nodeCgroup), limits[h])
	})
}

// eachHierarchy calls f for the hierarchies of cgroup v1 that matter.
func eachHierarchy(root string, f func(name, base string) error) error {
	for _, h := range []string{"memory", "pids", "cpu"} {
		base := filepath.Join(root, h)
		if _, err := os.Stat(base); err != nil {
			continue // the runtime and the doctor say what is missing
		}
		if err := f(h, base); err != nil {
			return err
		}
	}
	return nil
}

// NewNode makes the cgroup of one more node, below Node, and gives its path. Its
// share of busy processors is weight times that of another. memory is what its pods
// may use by their own limits, in bytes: it gets more than others where they need it
// and the host has as much. It must be empty when remove is called.
func (w *World) NewNode(name string, weight int, memory uint64) (path string, remove func() error, err error) {
	path = filepath.Join(w.Node, name)
	remove = func() error { return removeCgroups(cgroupRoot, path, time.Now().Add(2*time.Second)) }
	if err := errors.Join(newNode(cgroupRoot, path, memory), weigh(cgroupRoot, path, weight)); err != nil {
		return "", nil, errors.Join(err, remove())
	}
	return path, remove, nil
}

func newNode(root, path string, wanted uint64) error {
	memory := nodeMemory(totalMemory(), wanted)
	if unified(root) {
		return makeNode(filepath.Join(root, path), nodeLimits2(memory, nodePIDs))
	}
	limits := nodeLimits(memory, nodePIDs)
	return eachHierarchy(root, func(h, base string) error { return makeNode(filepath.Join(base, path), limits[h]) })
}

// makeCgroups2 does so in the one hierarchy of cgroup v2, where a parent has to
// hand each controller down.
func makeCgroups2(root, id string) error {
	dir := filepath.Join(root, id)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make cgroup: %w", err)
	}
	handDown(root)
	handDown(dir)
	node := filepath.Join(dir, nodeCgroup)
	if err := makeNode(node, nodeLimits2(allMemory(totalMemory()), allPIDs)); err != nil {
		return err
	}
	handDown(node)
	return nil
}

// handDown has the children of a cgroup of version 2 get their controllers.
func handDown(dir string) {
	for _, c := range []string{"memory", "pids", "cpu"} {
		// One that the kernel lacks, or that is handed down already by another,
		// is seen when its limit is written.
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+c), 0)
	}
}

func makeNode(dir string, limits []limit) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("make cgroup: %w", err)
	}
	for _, l := range limits {
		err := os.WriteFile(filepath.Join(dir, l.file), []byte(l.value), 0o644)
		if err != nil && !(l.optional && errors.Is(err, fs.ErrNotExist) || l.optional && errors.Is(err, fs.ErrPermission)) {
			return fmt.Errorf("limit the node: %w", err)
		}
	}
	return nil
}

// removeCgroups removes a run's cgroups from every hierarchy, those of all its
// pods and builds too. They stay busy until their last process is reaped.
func removeCgroups(root, id string, deadline time.Time) error {
	tops, err := filepath.Glob(filepath.Join(root, "*", id))
	if err != nil {
		return err
	}
	for _, top := range append(tops, filepath.Join(root, id)) {
		for _, d := range deepestFirst(top) {
			if err := rmdir(d, deadline); err != nil {
				return fmt.Errorf("remove cgroup: %w", err)
			}
		}
	}
	return nil
}

// deepestFirst lists the directories at and below top so that each comes before
// its parent; none if there is no top.
func deepestFirst(top string) []string {
	var dirs []string
	filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	slices.SortStableFunc(dirs, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	return dirs
}

func rmdir(dir string, deadline time.Time) error {
	for {
		err := unix.Rmdir(dir)
		if err == nil || err == unix.ENOENT {
			return nil
		}
		if err != unix.EBUSY || time.Now().After(deadline) {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		time.Sleep(2 * time.Millisecond)
	}
}
