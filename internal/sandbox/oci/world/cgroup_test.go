package world

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tree makes directories and files, in a stand-in of the cgroup file system.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, f := range files {
		name := filepath.Join(root, f)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// contents reads back what was written below root.
func contents(t *testing.T, root string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if len(b) > 0 {
			m[strings.TrimPrefix(p, root+"/")] = string(b)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// On a file system that is no cgroup a write makes the file, so that what would
// be written where can be seen.
func TestMakeCgroups(t *testing.T) {
	memory := allMemory(totalMemory())
	for _, test := range []struct {
		name string
		have []string
		want map[string]string
	}{
		{"v2", []string{"cgroup.controllers", "cgroup.subtree_control"}, map[string]string{
			"cgroup.subtree_control":             "+cpu", // the last of three writes
			"road-1/cgroup.subtree_control":      "+cpu",
			"road-1/node/memory.max":             memory,
			"road-1/node/memory.swap.max":        "0",
			"road-1/node/pids.max":               "8192",
			"road-1/node/cgroup.subtree_control": "+cpu",
		}},
		{"v1", []string{"memory/tasks", "pids/tasks", "cpu/tasks", "devices/tasks"}, map[string]string{
			"memory/road-1/node/memory.limit_in_bytes":       memory,
			"memory/road-1/node/memory.memsw.limit_in_bytes": memory,
			"pids/road-1/node/pids.max":                      "8192",
		}},
		{"hybrid without pids", []string{"memory/tasks", "unified/cgroup.controllers"}, map[string]string{
			"memory/road-1/node/memory.limit_in_bytes":       memory,
			"memory/road-1/node/memory.memsw.limit_in_bytes": memory,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := tree(t, test.have...)
			if err := makeCgroups(root, "road-1"); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(test.want, contents(t, root)); d != "" {
				t.Error(d)
			}
			if err := makeCgroups(root, "road-1"); err == nil {
				t.Error("a name that is taken is used again")
			}
		})
	}
}

// A node of one application's is held as tightly however many there are.
func TestNewNode(t *testing.T) {
	root := tree(t, "memory/tasks", "pids/tasks", "cpu/tasks")
	if err := makeCgroups(root, "road-1"); err != nil {
		t.Fatal(err)
	}
	if err := newNode(root, "/road-1/node/a", 0); err != nil {
		t.Fatal(err)
	}
	got := contents(t, root)
	if got["pids/road-1/node/a/pids.max"] != "512" || got["memory/road-1/node/a/memory.limit_in_bytes"] != nodeMemory(totalMemory(), 0) {
		t.Errorf("%v", got)
	}
	if _, err := os.Stat(filepath.Join(root, "cpu/road-1/node/a")); err != nil {
		t.Error(err)
	}
}

func TestNodeMemory(t *testing.T) {
	for _, c := range []struct {
		total, wanted uint64
		want          string
	}{
		{64 << 30, 0, "2147483648"}, {8 << 30, 0, "2147483648"}, {4 << 30, 0, "1073741824"}, {1 << 30, 0, "268435456"},
		{64 << 30, 1 << 20, "2147483648"},
		{64 << 30, 3 << 30, "3221225472"},
		{8 << 30, 3 << 30, "2147483648"}, // the host has no more
	} {
		if got := nodeMemory(c.total, c.wanted); got != c.want {
			t.Errorf("of %d bytes a node that wants %d gets %s, want %s", c.total, c.wanted, got, c.want)
		}
	}
}

func TestRemoveCgroups(t *testing.T) {
	for _, top := range []string{"memory/", "unified/", ""} {
		root := tree(t, "memory/tasks", "unified/tasks")
		for _, d := range []string{"road-1/node/pod/web", "road-1/build/x", "road-2"} {
			if err := os.MkdirAll(filepath.Join(root, top, d), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := removeCgroups(root, "road-1", time.Now()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(root, top, "road-1")); !os.IsNotExist(err) {
			t.Errorf("%sroad-1 is still there: %v", top, err)
		}
		if _, err := os.Stat(filepath.Join(root, top, "road-2")); err != nil {
			t.Errorf("another run's: %v", err)
		}
	}
}

func TestNameservers(t *testing.T) {
	conf := "# nameserver 9.9.9.9\nsearch example\nnameserver 192.0.2.53\n nameserver\t127.0.0.53 \nnameserver\noptions ndots:1\n"
	if d := cmp.Diff([]string{"192.0.2.53", "127.0.0.53"}, nameservers(conf)); d != "" {
		t.Error(d)
	}
}
