package walk

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCopyTree(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "src"), filepath.Join(t.TempDir(), "a", "dst")
	write(t, filepath.Join(src, "Dockerfile"), "FROM scratch\n")
	write(t, filepath.Join(src, ".git", "config"), "x")
	write(t, filepath.Join(src, ".gitignore"), "bin\n")
	write(t, filepath.Join(src, "bin", "tool"), "built")
	if err := os.Chmod(filepath.Join(src, "bin", "tool"), 0o751); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(src, "link")); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(context.Background(), src, dst); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	err := filepath.WalkDir(dst, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dst, name)
		info, err := d.Info()
		got[rel] = info.Mode().String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Dockerfile": "-rw-r--r--", ".gitignore": "-rw-r--r--", "bin/tool": "-rwxr-x--x", "link": "Lrwxrwxrwx"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if to, _ := os.Readlink(filepath.Join(dst, "link")); to != "/etc/passwd" {
		t.Errorf("the link leads to %s", to)
	}
}

// A copy below its own source must not go on for ever.
func TestCopyTreeIntoItself(t *testing.T) {
	src := t.TempDir()
	write(t, filepath.Join(src, "a"), "a")
	dst := filepath.Join(src, "tmp", "copy")
	if err := copyTree(context.Background(), src, dst); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dst, "tmp", "copy")); err == nil {
		t.Error("the copy holds a copy of itself")
	}
}
