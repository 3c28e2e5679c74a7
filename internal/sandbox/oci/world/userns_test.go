package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// No two namespaces share an id, none has one that SSSD or systemd give, and what
// was given back is used again only when all others are taken.
func TestIDPool(t *testing.T) {
	p := idPool{next: lastRange - 2, taken: map[uint32]bool{}}
	seen := map[uint32]bool{}
	for range lastRange - firstRange {
		base, err := p.take()
		if err != nil {
			t.Fatal(err)
		}
		if seen[base] || base%UserNSSize != 0 || base <= 2000200000 || base+UserNSSize > 0x7ffe0000 {
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

// What the host has given to somebody is not taken.
func TestIDPoolGiven(t *testing.T) {
	name := filepath.Join(t.TempDir(), "subuid")
	text := fmt.Sprintf("low:100000:65536\nhigh:%d:65536\n# no line\nall:2147000000:4294967295\nnone:%d:0\n", firstRange*UserNSSize+1, (firstRange+2)*UserNSSize)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p := idPool{next: firstRange, taken: given(name, name+"-none")}
	if base, err := p.take(); err != nil || base != (firstRange+2)*UserNSSize {
		t.Errorf("%d, %v; range %#x", base, err, base/UserNSSize)
	}
}
