package edit

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func put(t *testing.T, name, content string, mode os.FileMode) {
	t.Helper()
	os.MkdirAll(filepath.Dir(name), 0o755)
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteKeepsModeAndOwner(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "sub", "a.yaml")
	put(t, name, "old", 0o640)
	uid, gid := os.Getuid(), os.Getgid()
	if uid == 0 { // as under sudo: the files belong to somebody else
		uid, gid = 1234, 4444
		for _, n := range []string{name, filepath.Dir(name)} {
			if err := os.Chown(n, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := Write(dir, Files{"sub/a.yaml": []byte("new"), "sub/made.yaml": []byte("made")}); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[string]struct {
		content string
		mode    os.FileMode
	}{"a.yaml": {"new", 0o640}, "made.yaml": {"made", 0o644}} {
		n = filepath.Join(dir, "sub", n)
		info, err := os.Stat(n)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if got := read(t, n); got != want.content || info.Mode() != want.mode || int(st.Uid) != uid || int(st.Gid) != gid {
			t.Errorf("%s: %q %v %d:%d, want %q %v %d:%d", n, got, info.Mode(), st.Uid, st.Gid, want.content, want.mode, uid, gid)
		}
	}
	left, _ := filepath.Glob(filepath.Join(dir, "sub", ".*"))
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWriteRefusesToLeaveRoot(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	put(t, filepath.Join(outside, "a.yaml"), "theirs", 0o644)
	os.Symlink(outside, filepath.Join(dir, "folder"))
	os.Symlink(filepath.Join(outside, "a.yaml"), filepath.Join(dir, "link.yaml"))
	os.Symlink("../"+filepath.Base(outside)+"/a.yaml", filepath.Join(dir, "dots.yaml"))
	os.Mkdir(filepath.Join(dir, "dir.yaml"), 0o755)
	for _, name := range []string{"folder/a.yaml", "link.yaml", "dots.yaml", "../" + filepath.Base(outside) + "/a.yaml", filepath.Join(outside, "a.yaml"), "dir.yaml"} {
		err := Write(dir, Files{name: []byte("ours")})
		if err == nil || !strings.HasPrefix(err.Error(), name+": ") {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
	if got := read(t, filepath.Join(outside, "a.yaml")); got != "theirs" {
		t.Errorf("the file outside is now %q", got)
	}
}

func TestWriteFollowsLinksInside(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "real", "a.yaml"), "old", 0o600)
	os.Symlink("real/a.yaml", filepath.Join(dir, "b.yaml"))
	if err := Write(dir, Files{"b.yaml": []byte("new")}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "real", "a.yaml")); got != "new" {
		t.Errorf("the file behind the link: %q", got)
	}
	if to, err := os.Readlink(filepath.Join(dir, "b.yaml")); err != nil || to != "real/a.yaml" {
		t.Errorf("the link: %q, %v", to, err)
	}
}

// A file that cannot be written keeps all of them as they were: half of a change
// may be worse than none.
func TestWriteIsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.yaml"), "old", 0o600)
	os.Mkdir(filepath.Join(dir, "b.yaml"), 0o755)
	if err := Write(dir, Files{"a.yaml": []byte("new"), "b.yaml": []byte("new")}); err == nil {
		t.Fatal("b.yaml is a folder and was written")
	}
	if got := read(t, filepath.Join(dir, "a.yaml")); got != "old" {
		t.Errorf("a.yaml: %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestWriteMakesFolders puts a new file into a folder that is not there, which
// belongs to whom the folder above belongs to.
func TestWriteMakesFolders(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(dir, 1234, 4321); err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(dir, Files{"a/b/c.json": []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	above, _ := os.Stat(dir)
	for _, name := range []string{"a", "a/b", "a/b/c.json"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() && info.Mode() != above.Mode() {
			t.Errorf("%s: mode %v", name, info.Mode())
		}
		if got, want := info.Sys().(*syscall.Stat_t), above.Sys().(*syscall.Stat_t); got.Uid != want.Uid || got.Gid != want.Gid {
			t.Errorf("%s: owner %d:%d", name, got.Uid, got.Gid)
		}
	}
	if err := Write(dir, Files{"../x/y": nil}); err == nil {
		t.Error("a folder outside was made")
	}
}
