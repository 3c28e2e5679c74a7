package pod

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestReadAs reads as one user what another may not, and leaves this process who
// it was.
func TestReadAs(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("becoming another user needs root")
	}
	const alice, bob = 42001, 42002
	dir, err := os.MkdirTemp("/tmp", "road-key") // t.TempDir is closed to others
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "file")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(name, []byte("alice's"), 0o600), os.Chown(name, alice, alice)); err != nil {
		t.Fatal(err)
	}
	if text, err := readAs(alice, name); err != nil || text != "alice's" {
		t.Errorf("as its owner: %q, %v", text, err)
	}
	if text, err := readAs(bob, name); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("as another: %q, %v", text, err)
	}
	if _, err := os.ReadFile(name); err != nil {
		t.Errorf("as root afterwards: %v", err)
	}
}
