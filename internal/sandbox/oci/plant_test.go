package oci

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"road/internal/sandbox"

	"golang.org/x/sys/unix"
)

// TestPlantFollowsNothing has a container that got there first not lead the
// node's root elsewhere.
func TestPlantFollowsNothing(t *testing.T) {
	m := &member{scratch: t.TempDir()}
	program := filepath.Join(t.TempDir(), "program")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(program, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(m.scratch, "helper")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"helper", "../helper", "a/b", ""} {
		if p, err := m.plant(program)(sandbox.Helper{Name: name, Mode: 0o4755}); err == nil {
			t.Errorf("%q: %+v", name, p)
		}
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("the link was followed")
	}
}

func TestPlant(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("file capabilities need root")
	}
	m := &member{scratch: t.TempDir()}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := m.plant(program)(sandbox.Helper{Name: "helper", Mode: 0o4755, Capabilities: 1 << 13})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(m.scratch, "helper")
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil || st.Mode&0o7777 != 0o4755 || p.Path != "/.road/volume/helper" {
		t.Errorf("%o, %s, %v", st.Mode, p.Path, err)
	}
	got := make([]byte, 64)
	n, err := unix.Getxattr(name, "security.capability", got)
	if want := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}; err != nil || !bytes.Equal(got[:n], want) {
		t.Errorf("%x, %v", got[:n], err)
	}
	if err := p.Remove(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(name); err == nil {
		t.Error("it is still there")
	}
}
