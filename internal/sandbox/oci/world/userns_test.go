package world

import (
	"errors"
	"os"
	"strings"
	"testing"

	"road/internal/sandbox/sandboxtest"

	"golang.org/x/sys/unix"
)

// The proof fails where owners cannot be mapped, and leaves nothing behind.
func TestSandboxProveUserNS(t *testing.T) {
	sandboxtest.Need(t)
	before, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if err := ProveUserNS(t.TempDir(), "/dev/shm"); err != nil {
		t.Errorf("here: %v", err)
	}
	if err := ProveUserNS("/proc"); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "/proc") {
		t.Errorf("on a file system that maps no owners: %v", err)
	}
	if after, _ := os.ReadFile("/proc/self/mountinfo"); string(after) != string(before) {
		t.Error("there are other mounts than before")
	}
}

// No two namespaces share an id, none has one of the node's own users, and what
// was given back is used again only when all others are taken.
func TestIDPool(t *testing.T) {
	p := idPool{next: lastRange - 2, taken: map[uint32]bool{}}
	seen := map[uint32]bool{}
	for range lastRange - firstRange {
		base, err := p.take()
		if err != nil {
			t.Fatal(err)
		}
		if seen[base] || base%UserNSSize != 0 || base < UserNSSize || uint64(base)+UserNSSize > 1<<31 {
			t.Fatalf("%d is taken already, or no range", base)
		}
		seen[base] = true
	}
	if base, err := p.take(); err == nil {
		t.Errorf("one too many: %d", base)
	}
	p.give(firstRange * UserNSSize)
	if base, err := p.take(); err != nil || base != firstRange*UserNSSize {
		t.Errorf("given back: %d, %v", base, err)
	}
}
