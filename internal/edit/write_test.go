package edit

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
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

// as does what f does as another user, who is in one other group.
func as(t *testing.T, uid, gid, other int, f func() error) (err error) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		groups := []uint32{uint32(other)}
		for _, call := range [][4]uintptr{
			{unix.SYS_SETGROUPS, 1, uintptr(unsafe.Pointer(&groups[0]))},
			{unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid)},
			{unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)},
		} {
			if _, _, e := syscall.RawSyscall(call[0], call[1], call[2], call[3]); e != 0 {
				err = e
				return
			}
		}
		err = f()
	}()
	<-done
	return err
}

// shared makes a folder in which all of a group work on each other's files.
func shared(t *testing.T, mode os.FileMode) (dir, name string) {
	t.Helper()
	dir = t.TempDir()
	name = filepath.Join(dir, "a.yaml")
	put(t, name, "old and longer", mode)
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o775); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []string{dir, name} {
		if err := errors.Join(os.Chown(n, 1234, 4444), os.Chmod(name, mode)); err != nil && os.Geteuid() == 0 {
			t.Fatal(err)
		}
	}
	return dir, name
}

func owned(t *testing.T, name string) (uid, gid uint32, mode os.FileMode) {
	t.Helper()
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	st := info.Sys().(*syscall.Stat_t)
	return st.Uid, st.Gid, info.Mode()
}

// Who may write a file of somebody else leaves it theirs; who may not is told, and
// nothing is written.
func TestWriteKeepsTheOwnerWithoutRoot(t *testing.T) {
	for _, c := range []struct {
		who  string
		uid  int
		mode os.FileMode
		want string
	}{
		{"the owner", 1234, 0o664, "new"},
		{"one of the group", 5678, 0o664, "new"},
		{"one of the group who may only read", 5678, 0o644, "old and longer"},
	} {
		t.Run(c.who, func(t *testing.T) {
			dir, name := shared(t, c.mode)
			put(t, filepath.Join(dir, "0.yaml"), "old", 0o666)
			if err := os.Chown(filepath.Join(dir, "0.yaml"), 1234, 4444); err != nil && os.Geteuid() == 0 {
				t.Fatal(err)
			}
			err := as(t, c.uid, 999, 4444, func() error { return Write(dir, Files{"a.yaml": []byte("new"), "0.yaml": []byte(c.want)}) })
			if (err == nil) != (c.want == "new") {
				t.Errorf("got %v", err)
			}
			if got := read(t, name); got != c.want {
				t.Errorf("it holds %q", got)
			}
			if uid, gid, mode := owned(t, name); uid != 1234 || gid != 4444 || mode != c.mode {
				t.Errorf("it belongs to %d:%d, mode %v", uid, gid, mode)
			}
			if c.want != "new" && (read(t, filepath.Join(dir, "0.yaml")) != "old" || !strings.Contains(err.Error(), "user 1234 and group 4444")) {
				t.Errorf("the other file was written, or: %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// An access control list stays.
func TestWriteKeepsAccessLists(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a.yaml")
	put(t, name, "old", 0o660)
	list, err := hex.DecodeString("02000000" + "01000600ffffffff" + "02000600d2040000" + "04000400ffffffff" + "10000600ffffffff" + "20000000ffffffff")
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(name, accessList, list, 0); err != nil {
		t.Skip("this file system has no access control lists: ", err)
	}
	if err := Write(filepath.Dir(name), Files{"a.yaml": []byte("new")}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	n, err := unix.Getxattr(name, accessList, got)
	if err != nil || string(got[:n]) != string(list) || read(t, name) != "new" {
		t.Errorf("%x, %v: %q", got[:max(n, 0)], err, read(t, name))
	}
}

// Where one file cannot be replaced after all, those before it are put back.
func TestWritePutsBack(t *testing.T) {
	path := t.TempDir()
	put(t, filepath.Join(path, "a.yaml"), "old", 0o640)
	put(t, filepath.Join(path, "c.yaml"), "old", 0o600)
	dir, err := os.OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	var all []*staged
	for _, name := range []string{"a.yaml", "b.yaml", "c.yaml"} {
		s, err := stage(dir, name, []byte("new"))
		if err != nil {
			t.Fatal(err)
		}
		defer s.close(dir)
		all = append(all, s)
	}
	if err := errors.Join(dir.Remove("c.yaml"), dir.Mkdir("c.yaml", 0o755)); err != nil { // by somebody else, meanwhile
		t.Fatal(err)
	}
	if err := placeAll(dir, all); err == nil || !strings.HasPrefix(err.Error(), "c.yaml: not written: ") {
		t.Errorf("got %v", err)
	}
	if _, _, mode := owned(t, filepath.Join(path, "a.yaml")); read(t, filepath.Join(path, "a.yaml")) != "old" || mode != 0o640 {
		t.Errorf("a.yaml: %q, mode %v", read(t, filepath.Join(path, "a.yaml")), mode)
	}
	if _, err := dir.Lstat("b.yaml"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("b.yaml was new, and is there: %v", err)
	}
}

// A link below a linked folder leads on from where it stands, and not from the name
// that the folder goes by.
func TestWriteFollowsLinksBelowLinks(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.yaml"), "another", 0o600)
	put(t, filepath.Join(dir, "real", "a.yaml"), "old", 0o600)
	os.Mkdir(filepath.Join(dir, "real", "x"), 0o755)
	os.Symlink("../a.yaml", filepath.Join(dir, "real", "x", "a.yaml"))
	os.Symlink("real/x", filepath.Join(dir, "b"))
	if err := Write(dir, Files{"b/a.yaml": []byte("new")}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "real", "a.yaml")) + ", " + read(t, filepath.Join(dir, "a.yaml")); got != "new, another" {
		t.Errorf("what it leads to, and what it does not: %s", got)
	}
}
