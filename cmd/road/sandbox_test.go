package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	ociworld "road/internal/sandbox/oci/world"
	"road/internal/sandbox/sandboxtest"

	"github.com/google/nftables"
	"github.com/rogpeppe/go-internal/testscript"
)

// programs builds road and its probe as a user does, once, and gives their folder.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "road-programs")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-o", dir+"/", "road/cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return dir, nil
})

func road(t *testing.T) string {
	t.Helper()
	sandboxtest.Need(t, "runc", "mmdebstrap")
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "road")
}

// TestSandboxScript tells the stories that need a sandbox.
func TestSandboxScript(t *testing.T) {
	bin := filepath.Dir(road(t))
	demo, err := filepath.Abs("../../demo")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/sandbox",
		Setup: func(e *testscript.Env) error {
			e.Setenv("NO_COLOR", "1")
			e.Setenv("BIN", bin)
			e.Setenv("DEMO", demo)
			e.Setenv("PATH", bin+":"+os.Getenv("PATH"))
			if state, ok := os.LookupEnv("ROAD_STATE"); ok {
				e.Setenv("ROAD_STATE", state)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status, "occupy": occupy},
	})
}

// Whenever road is killed, the kernel takes its world, and road down the rest.
func TestSandboxKilled(t *testing.T) {
	program := road(t)
	before := remains(t)
	var worlds []world
	for i := range 4 {
		cmd := exec.Command(program, "walk", "--to", "2", "-q")
		cmd.Dir = t.TempDir()
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		w := worldOf(t, cmd.Process.Pid)
		worlds = append(worlds, w)
		lives := time.Duration(rand.IntN(6000)) * time.Millisecond
		time.Sleep(lives)
		if err := cmd.Process.Kill(); err != nil { // the supervisor alone
			t.Fatal(err)
		}
		t.Logf("walk %d, %s: %v %v after its world was made", i, w.id, cmd.Wait(), lives)
	}
	if out, err := exec.Command(program, "down").CombinedOutput(); err != nil {
		t.Fatalf("road down: %v\n%s", err, out)
	}
	for _, w := range worlds {
		w.gone(t)
	}
	sameRemains(t, before)
}

// A world is what a run is known by on the host. Other runs, of other tests, come
// and go meanwhile.
type world struct {
	id       string // of the run
	pid, net string // its namespaces: "pid:[4026532281]"
}

// worldOf waits for the world that a supervisor makes.
func worldOf(t *testing.T, supervisor int) world {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		records, _ := filepath.Glob(filepath.Join(ociworld.StateDir(), "runs", "*", "run.json"))
		for _, name := range records {
			var record struct{ PID int }
			b, err := os.ReadFile(name)
			if err != nil || json.Unmarshal(b, &record) != nil || parent(record.PID) != supervisor {
				continue
			}
			w := world{id: filepath.Base(filepath.Dir(name))}
			for kind, into := range map[string]*string{"pid": &w.pid, "net": &w.net} {
				if *into, err = os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", record.PID, kind)); err != nil {
					t.Fatal(err)
				}
			}
			return w
		}
	}
	t.Fatal("no world was made")
	return world{}
}

// parent gives the number of a process's parent, 0 where there is none.
func parent(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "PPid:"); ok {
			n, _ := strconv.Atoi(strings.TrimSpace(rest))
			return n
		}
	}
	return 0
}

// gone wants nothing of the world to be left: no process in its namespaces, no
// cgroup and no file under its name.
func (w world) gone(t *testing.T) {
	t.Helper()
	var left []string
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left = left[:0]
		for _, pattern := range []string{"/sys/fs/cgroup/" + w.id, "/sys/fs/cgroup/*/" + w.id, filepath.Join(ociworld.StateDir(), "runs", w.id+"*")} {
			found, _ := filepath.Glob(pattern)
			left = append(left, found...)
		}
		processes, _ := filepath.Glob("/proc/[0-9]*")
		for _, p := range processes {
			for kind, own := range map[string]string{"pid": w.pid, "net": w.net} {
				if ns, err := os.Readlink(p + "/ns/" + kind); err == nil && ns == own {
					left = append(left, p+" in "+own)
				}
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(end) {
			t.Errorf("left of %s:\n%s", w.id, strings.Join(left, "\n"))
			return
		}
	}
}

// remains lists what a run could leave among what all share: the host's mounts,
// links, and nft tables.
func remains(t *testing.T) []string {
	t.Helper()
	var all []string
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		// Other tests mount elsewhere meanwhile.
		if f := strings.Fields(line); strings.HasPrefix(f[1], ociworld.StateDir()) || strings.HasPrefix(f[1], "/dev/shm") {
			all = append(all, "mount: "+strings.TrimSpace(line))
		}
	}
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		all = append(all, "link: "+l.Name)
	}
	c, err := nftables.New()
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.ListTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		all = append(all, fmt.Sprintf("nft table: %d %s", table.Family, table.Name))
	}
	slices.Sort(all)
	return all
}

// sameRemains wants the host to be as it was. The kernel takes a moment to free
// the namespaces of processes that were killed.
func sameRemains(t *testing.T, before []string) {
	t.Helper()
	var added []string
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		added = added[:0]
		for _, r := range remains(t) {
			if _, was := slices.BinarySearch(before, r); !was {
				added = append(added, r)
			}
		}
		if len(added) == 0 || time.Now().After(end) {
			break
		}
	}
	if len(added) > 0 {
		t.Errorf("left on the host:\n%s", strings.Join(added, "\n"))
	}
}
