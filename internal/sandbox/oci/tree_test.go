package oci

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A copy has all that a server may depend on.
func TestCopyTree(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("owners need root")
	}
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	old := time.Unix(1700000000, 0)
	must(os.Mkdir(filepath.Join(from, "d"), 0o700))
	must(os.WriteFile(filepath.Join(from, "d/f"), []byte("content"), 0o600))
	must(os.Chown(filepath.Join(from, "d/f"), 999, 50))
	must(unix.Chmod(filepath.Join(from, "d/f"), 0o4751))
	must(unix.Setxattr(filepath.Join(from, "d/f"), "security.capability", fileCapabilities(1<<13, 0), 0))
	must(unix.Setxattr(filepath.Join(from, "d/f"), "user.note", []byte("kept"), 0))
	must(os.Link(filepath.Join(from, "d/f"), filepath.Join(from, "d/second")))
	must(os.Symlink("/etc/shadow", filepath.Join(from, "link")))
	must(os.Lchown(filepath.Join(from, "link"), 999, 999))
	must(unix.Mkfifo(filepath.Join(from, "pipe"), 0o600))
	must(os.WriteFile(filepath.Join(from, "odd-\xff"), nil, 0o640))
	must(os.Chtimes(filepath.Join(from, "d/f"), old, old))
	must(os.Chown(filepath.Join(from, "d"), 999, 999))
	must(unix.Chmod(filepath.Join(from, "d"), 0o3770))
	must(os.Chtimes(filepath.Join(from, "d"), old, old))
	must(copyTree(t.Context(), from, to))
	for _, name := range []string{".", "d", "d/f", "d/second", "link", "odd-\xff"} {
		a, err := os.Lstat(filepath.Join(from, name))
		must(err)
		b, err := os.Lstat(filepath.Join(to, name))
		must(err)
		x, y := a.Sys().(*syscall.Stat_t), b.Sys().(*syscall.Stat_t)
		if x.Mode != y.Mode || x.Uid != y.Uid || x.Gid != y.Gid || x.Size != y.Size && !a.IsDir() || a.Mode()&os.ModeSymlink == 0 && !a.ModTime().Equal(b.ModTime()) {
			t.Errorf("%q: %v %d:%d %v, want %v %d:%d %v", name, b.Mode(), y.Uid, y.Gid, b.ModTime(), a.Mode(), x.Uid, x.Gid, a.ModTime())
		}
	}
	if target, _ := os.Readlink(filepath.Join(to, "link")); target != "/etc/shadow" {
		t.Errorf("the link leads to %q", target)
	}
	one, _ := os.Stat(filepath.Join(to, "d/f"))
	two, _ := os.Stat(filepath.Join(to, "d/second"))
	if !os.SameFile(one, two) {
		t.Error("two names of one file became two files")
	}
	value := make([]byte, 64)
	for name, want := range map[string][]byte{"security.capability": fileCapabilities(1<<13, 0), "user.note": []byte("kept")} {
		if n, err := unix.Getxattr(filepath.Join(to, "d/f"), name, value); err != nil || !bytes.Equal(value[:n], want) {
			t.Errorf("%s: %x, %v", name, value[:max(n, 0)], err)
		}
	}
	if _, err := os.Lstat(filepath.Join(to, "pipe")); err == nil {
		t.Error("a pipe was copied")
	}
}

// A link that comes to stand where a directory or a file was leads nowhere.
func TestCopyTreeStaysInside(t *testing.T) {
	outside, from, to := t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("of the host"), 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := os.OpenRoot(from)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := os.Mkdir(to, 0o700); err != nil {
		t.Fatal(err)
	}
	dst, err := os.OpenRoot(to)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close()
	c := copier{ctx: t.Context(), src: src, dst: dst, copied: map[[2]uint64]string{}}
	// What was a directory and a file when it was listed is a link by now.
	for name, target := range map[string]string{"dir": outside, "file": filepath.Join(outside, "secret")} {
		if err := os.Symlink(target, filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(to, "dir"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := c.directory("dir"); err == nil {
		t.Error("a directory was followed out")
	}
	if err := c.file("file"); err == nil {
		t.Error("a file was followed out")
	}
	if b, err := os.ReadFile(filepath.Join(to, "dir/secret")); err == nil {
		t.Errorf("copied %q", b)
	}
}
