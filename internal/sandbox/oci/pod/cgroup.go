package pod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/cgroups/v3"
	"github.com/containerd/cgroups/v3/cgroup1"
	"github.com/containerd/cgroups/v3/cgroup2"
	"golang.org/x/sys/unix"
)

// cgroupRoot is where control groups are mounted, in both versions.
const cgroupRoot = "/sys/fs/cgroup"

// A podCgroup is one control group, by its path from the top of the hierarchy.
type podCgroup struct {
	path    string
	root    string // cgroupRoot but in tests
	unified bool   // version 2
}

// makeCgroup makes the pod's own group, below which each container gets one.
func (p *Pod) makeCgroup() error {
	p.cgroup = podCgroup{
		path:    filepath.Join("/", p.o.CgroupParent, p.o.ID),
		root:    cgroupRoot,
		unified: cgroups.Mode() == cgroups.Unified,
	}
	r := podResources(p.spec)
	var err error
	if p.cgroup.unified {
		_, err = cgroup2.NewManager(cgroupRoot, p.cgroup.path, cgroup2.ToResources(r))
	} else {
		_, err = cgroup1.New(cgroup1.StaticPath(p.cgroup.path), r)
	}
	if err != nil {
		return fmt.Errorf("cgroup %s: %w", p.cgroup.path, err)
	}
	return nil
}

// Cgroup is the path of the pod's own cgroup, from the top of each hierarchy.
func (p *Pod) Cgroup() string { return p.cgroup.path }

// child is the group of one run of a container.
func (g podCgroup) child(name string) podCgroup {
	g.path = filepath.Join(g.path, name)
	return g
}

// dir is the group's directory in a hierarchy of version 1, or the only one.
func (g podCgroup) dir(controller string) string {
	if g.unified {
		return filepath.Join(g.root, g.path)
	}
	return filepath.Join(g.root, controller, g.path)
}

// counters are what a group counts. The first four hold for its children too.
type counters struct {
	anon, pids int64
	cpu        time.Duration
	exists     bool
	oomKills   int64 // of this group alone in version 1
	throttled  int64 // of this group alone in version 1
	full       bool  // its memory was once as much as its limit; of this group alone in version 1
}

// chargeBytes is more than the kernel counts for a group at once: what was refused
// was less.
const chargeBytes = 1 << 20

// read gives the group's counters; a missing file counts as 0.
func (g podCgroup) read() counters {
	var c counters
	if g.unified {
		d := g.dir("")
		c.anon, _ = readKey(filepath.Join(d, "memory.stat"), "anon")
		events, _ := readKeys(filepath.Join(d, "memory.events"), "oom_kill", "max")
		c.oomKills, c.full = events[0], events[1] > 0
		cpu, _ := readKeys(filepath.Join(d, "cpu.stat"), "usage_usec", "nr_throttled")
		c.cpu, c.throttled = time.Duration(cpu[0])*time.Microsecond, cpu[1]
		c.pids = readNumber(filepath.Join(d, "pids.current"))
		_, err := os.Stat(d)
		c.exists = err == nil
		return c
	}
	memory := g.dir("memory")
	c.anon, _ = readKey(filepath.Join(memory, "memory.stat"), "total_rss")
	c.oomKills, _ = readKey(filepath.Join(memory, "memory.oom_control"), "oom_kill")
	// Kernels since 6.18 at the latest do not count memory.failcnt.
	limit := readNumber(filepath.Join(memory, "memory.limit_in_bytes"))
	c.full = limit > 0 && readNumber(filepath.Join(memory, "memory.max_usage_in_bytes")) >= limit-chargeBytes
	c.cpu = time.Duration(readNumber(filepath.Join(g.dir("cpuacct"), "cpuacct.usage")))
	c.throttled, _ = readKey(filepath.Join(g.dir("cpu"), "cpu.stat"), "nr_throttled")
	c.pids = readNumber(filepath.Join(g.dir("pids"), "pids.current"))
	_, err := os.Stat(memory)
	c.exists = err == nil
	return c
}

// readKeys reads the numbers of some of a file's lines of "name number", 0 for a
// line that is not there; ok says that there is such a file.
func readKeys(name string, keys ...string) (numbers []int64, ok bool) {
	numbers = make([]int64, len(keys))
	b, err := os.ReadFile(name)
	if err != nil {
		return numbers, false
	}
	for line := range strings.Lines(string(b)) {
		key, v, _ := strings.Cut(line, " ")
		if i := slices.Index(keys, key); i >= 0 {
			numbers[i], _ = strconv.ParseInt(strings.TrimSpace(v), 10, 64)
		}
	}
	return numbers, true
}

func readKey(name, key string) (n int64, ok bool) {
	numbers, ok := readKeys(name, key)
	return numbers[0], ok
}

func readNumber(name string) int64 {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n
}

// procs gives the processes of the group and its children, as PIDs of this
// process's namespace.
func (g podCgroup) procs() []int {
	dir := g.dir("pids")
	var pids []int
	filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		b, _ := os.ReadFile(filepath.Join(name, "cgroup.procs"))
		for _, f := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids
}

// kill ends every process of the group.
func (g podCgroup) kill() {
	if g.unified && os.WriteFile(filepath.Join(g.dir(""), "cgroup.kill"), []byte("1"), 0) == nil {
		return
	}
	for _, pid := range g.procs() {
		unix.Kill(pid, unix.SIGKILL)
	}
}

// hierarchies are the directories that root has: one for each controller of
// version 1.
func hierarchies(root string) []string {
	if root == cgroupRoot {
		return ownHierarchies()
	}
	return children(root)
}

// ownHierarchies are those of this machine, which do not change.
var ownHierarchies = sync.OnceValue(func() []string { return children(cgroupRoot) })

func children(dir string) []string {
	names, _ := filepath.Glob(filepath.Join(dir, "*"))
	return names
}

// remove removes the group and its children in every hierarchy. The kernel says
// busy for a moment after the last process is gone.
func (g podCgroup) remove() error {
	dirs := []string{g.dir("")}
	if !g.unified {
		dirs = nil
		for _, h := range hierarchies(g.root) {
			dirs = append(dirs, filepath.Join(h, g.path))
		}
	}
	var errs []error
	deadline := time.Now().Add(2 * time.Second)
	for _, dir := range dirs {
		// Most have no group below them, and to look for one costs more than to try.
		if err := unix.Rmdir(dir); err == nil || err == unix.ENOENT || err == unix.ENOTDIR {
			continue
		}
		errs = append(errs, removeBelow(dir, deadline))
	}
	return errors.Join(errs...)
}

// removeBelow removes a group in one hierarchy, the groups below it first.
func removeBelow(dir string, deadline time.Time) error {
	var below []string
	filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			below = append(below, name)
		}
		return nil
	})
	var errs []error
	for i := len(below) - 1; i >= 0; i-- {
		err := unix.Rmdir(below[i])
		for err == unix.EBUSY && time.Now().Before(deadline) {
			time.Sleep(2 * time.Millisecond)
			err = unix.Rmdir(below[i])
		}
		if err != nil && err != unix.ENOENT {
			errs = append(errs, &os.PathError{Op: "rmdir", Path: below[i], Err: err})
		}
	}
	return errors.Join(errs...)
}
