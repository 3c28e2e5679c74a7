package pod

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/app"

	"golang.org/x/sys/unix"
)

// Written lists the directories of a container's root file system in which
// something was created, changed or removed, over all its runs, sorted and each
// once. Volumes are not part of it. A file that was created and removed again
// shows as its directory; a new directory shows as its parent, which is what had
// to be writable.
func (p *Pod) Written(name string) ([]string, error) {
	writes, err := p.Writes(name)
	return sortedKeys(writes), err
}

// Writes says what was written in each of these directories.
func (p *Pod) Writes(name string) (map[string]app.Write, error) {
	c, err := p.container(name)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	past, a := c.past.writes, c.run
	c.mu.Unlock()
	out := app.MergeWrites(nil, past)
	if a != nil {
		now, _ := a.written()
		out = app.MergeWrites(out, now)
	}
	return out, nil
}

// written looks at the writable layer of a run: what was written where, and the
// bytes of all its files.
func (a *attempt) written() (map[string]app.Write, int64) {
	return writtenBelow(a.root.upper, a.p.o.Images[a.c.spec.Image].Lowers)
}

// writtenBelow walks an upper layer over the layers of an image, top first.
//
// The byte code that Python keeps beside its modules counts for bytes only: where
// it cannot be kept, Python does without.
func writtenBelow(upper string, lowers []string) (writes map[string]app.Write, bytes int64) {
	writes = map[string]app.Write{}
	change := func(rel string, f func(*app.Write)) {
		dir := path.Join("/", rel)
		w, ok := writes[dir]
		if !ok {
			w.Holds, w.Owner = holds(lowers, dir), owner(lowers, dir)
		}
		f(&w)
		writes[dir] = w
	}
	made := "" // a new directory: what is in it needed no more than its parent
	filepath.WalkDir(upper, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == upper {
			return nil
		}
		rel, _ := filepath.Rel(upper, name)
		if st, err := d.Info(); err == nil && st.Mode().IsRegular() {
			bytes += st.Size()
		}
		inMade := made != "" && strings.HasPrefix(rel, made+"/")
		switch {
		case inMade || isByteCode(name, d):
		case onlyOwned(lowers, rel, d):
			if d.IsDir() {
				change(rel, func(w *app.Write) { w.Owned = true })
			}
		case !d.IsDir() && inImage(lowers, rel) != nil:
			change(path.Dir(rel), func(w *app.Write) { w.Changed = append(w.Changed, path.Base(rel)) })
		case !d.IsDir():
			change(path.Dir(rel), func(w *app.Write) { w.Files = true })
		case !copiedUp(name):
			made = rel
			change(path.Dir(rel), func(w *app.Write) { w.Made = append(w.Made, path.Base(rel)) })
		case emptyDirectory(name):
			change(rel, func(w *app.Write) { w.Files = true })
		}
		return nil
	})
	return writes, bytes
}

// isByteCode says whether all that a file of an upper layer, or a directory with
// its content, is there for is Python's byte code.
func isByteCode(name string, d fs.DirEntry) bool {
	const folder = "__pycache__"
	if !d.IsDir() {
		return filepath.Base(filepath.Dir(name)) == folder && strings.Contains(d.Name(), ".pyc")
	}
	if d.Name() != folder {
		return false
	}
	list, err := os.ReadDir(name)
	return err == nil && !slices.ContainsFunc(list, func(d fs.DirEntry) bool { return d.IsDir() || !strings.Contains(d.Name(), ".pyc") })
}

// inImage gives what the image has under a name, nil for nothing.
func inImage(lowers []string, rel string) fs.FileInfo {
	for _, l := range lowers {
		st, err := os.Lstat(filepath.Join(l, rel))
		if err == nil && isWhiteout(st) {
			return nil
		}
		if err == nil {
			return st
		}
	}
	return nil
}

// owner says whose a directory is in the image, nil where it has none.
func owner(lowers []string, dir string) *app.Owner {
	st := inImage(lowers, dir)
	if st == nil {
		return nil
	}
	s := statT(st)
	return &app.Owner{UID: int(s.Uid), GID: int(s.Gid), Mode: s.Mode & 0o7777}
}

// onlyOwned says whether all that was done to a file of the image, or to a
// directory itself, was to give it another owner or mode: its content is of the
// time that it has in the image.
func onlyOwned(lowers []string, rel string, d fs.DirEntry) bool {
	now, err := d.Info()
	was := inImage(lowers, rel)
	if err != nil || was == nil || !now.ModTime().Equal(was.ModTime()) || now.Mode().Type() != was.Mode().Type() {
		return false
	}
	a, b := statT(now), statT(was)
	changed := a.Uid != b.Uid || a.Gid != b.Gid || a.Mode != b.Mode
	return changed && (d.IsDir() || now.Size() == was.Size())
}

// holds says whether the image has anything in a directory. The one for locks in
// /run is in every image of Debian's and is nobody's.
func holds(lowers []string, dir string) bool {
	gone := map[string]bool{}
	for _, l := range lowers {
		list, _ := os.ReadDir(filepath.Join(l, dir)) // a layer that lacks it has nothing in it
		for _, d := range list {
			st, err := d.Info()
			switch {
			case err != nil || gone[d.Name()]:
			case isWhiteout(st):
				gone[d.Name()] = true
			case dir != "/run" || d.Name() != "lock":
				return true
			}
		}
		var opaque [1]byte
		if n, err := unix.Lgetxattr(filepath.Join(l, dir), "trusted.overlay.opaque", opaque[:]); err == nil && n == 1 && opaque[0] == 'y' {
			return false
		}
	}
	return false
}

// isWhiteout knows what an overlay puts in the place of a name that is gone.
func isWhiteout(st fs.FileInfo) bool {
	return st.Mode()&fs.ModeCharDevice != 0 && statT(st).Rdev == 0
}

// copiedUp says that a directory of an upper layer was there in a lower one: the
// kernel notes where it came from.
func copiedUp(dir string) bool {
	_, err := unix.Lgetxattr(dir, "trusted.overlay.origin", nil)
	return err == nil
}

func emptyDirectory(dir string) bool {
	d, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer d.Close()
	names, _ := d.Readdirnames(1)
	return len(names) == 0
}
