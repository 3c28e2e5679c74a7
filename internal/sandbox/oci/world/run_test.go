package world

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/sandbox/sandboxtest"

	"golang.org/x/sys/unix"
)

// deadRun makes what is left of a run that was killed, with one file.
func deadRun(t *testing.T, state string) (file string) {
	t.Helper()
	if _, err := openState(state); err != nil {
		t.Fatal(err)
	}
	r, err := newRun(state)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(r.dir, diskName, "pods", "file")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.lock.Close()
	return file
}

// What was made immutable is removed all the same.
func TestSandboxSweepImmutable(t *testing.T) {
	sandboxtest.Need(t)
	state := t.TempDir()
	file := deadRun(t, state)
	for name, flag := range map[string]int{file: unix.STATX_ATTR_IMMUTABLE, filepath.Dir(file): unix.STATX_ATTR_APPEND} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flag)
		f.Close()
		if err != nil {
			t.Skipf("this file system has no such flag: %v", err)
		}
	}
	if os.Remove(file) == nil {
		t.Fatal("the file is not immutable: nothing is tried")
	}
	if n, err := Sweep(state); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
	if left, _ := filepath.Glob(filepath.Join(runsDir(state), "*")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// What cannot be removed of a dead run is told, and the next one is made.
func TestSandboxEnterAfterRemains(t *testing.T) {
	sandboxtest.Need(t)
	state := t.TempDir()
	busy := filepath.Dir(deadRun(t, state))
	if err := unix.Mount("busy", busy, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	p := startPlay(t, state, "exit", "ROAD_TEST_STATUS=7")
	said := p.line(t)
	if status := p.status(t); status != 7 || !strings.HasPrefix(said, "note: ") || !strings.Contains(said, busy) {
		t.Errorf("exit status %d, said %q", status, said)
	}
	if err := unix.Unmount(busy, 0); err != nil {
		t.Fatal(err)
	}
	if n, err := Sweep(state); n != 1 || err != nil {
		t.Errorf("swept %d, %v", n, err)
	}
}
