package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// layers are an image's directories, top first. Its methods see what an overlay
// of them would show, without one being mounted, and never leave them.
type layers []string

// An entry is one file of an image.
type entry struct {
	file string   // on this host, in the highest layer that has it
	dirs []string // for a directory: its part in every layer that takes part
	stat *syscall.Stat_t
}

func (e *entry) is(kind uint32) bool { return e.stat.Mode&syscall.S_IFMT == kind }

// find follows name, and every link on the way, inside the image. The error is
// fs.ErrNotExist where nothing is there.
func (l layers) find(name string) (*entry, error) {
	todo := parts(name)
	at := []*entry{{dirs: l}} // from the root to where we are
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		if part == ".." {
			at = at[:max(1, len(at)-1)]
			continue
		}
		e, err := at[len(at)-1].child(part)
		if err != nil {
			return nil, err
		}
		if !e.is(syscall.S_IFLNK) {
			at = append(at, e)
			continue
		}
		if links++; links > 40 {
			return nil, syscall.ELOOP
		}
		target, err := os.Readlink(e.file)
		if err != nil {
			return nil, err
		}
		if path.IsAbs(target) {
			at = at[:1]
		}
		todo = append(parts(target), todo...)
	}
	e := at[len(at)-1]
	if e.stat == nil { // the root itself
		if len(l) == 0 {
			return nil, fs.ErrNotExist
		}
		e.file, e.stat = l[0], new(syscall.Stat_t)
		if err := syscall.Lstat(l[0], e.stat); err != nil {
			return nil, err
		}
	}
	return e, nil
}

func parts(name string) []string {
	var out []string
	for _, p := range strings.Split(name, "/") {
		if p != "" && p != "." {
			out = append(out, p)
		}
	}
	return out
}

// child finds name in a directory: the highest layer that has it wins, a
// whiteout hides what is below, directories of several layers become one.
func (e *entry) child(name string) (*entry, error) {
	if e.stat != nil && !e.is(syscall.S_IFDIR) {
		return nil, syscall.ENOTDIR
	}
	var found *entry
	for _, dir := range e.dirs {
		file := filepath.Join(dir, name)
		st := new(syscall.Stat_t)
		if err := syscall.Lstat(file, st); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, err
		}
		isDir := st.Mode&syscall.S_IFMT == syscall.S_IFDIR
		if whiteout := st.Mode&syscall.S_IFMT == syscall.S_IFCHR && st.Rdev == 0; whiteout || found != nil && !isDir {
			break
		}
		if found == nil {
			found = &entry{file: file, stat: st}
		}
		if !isDir {
			break
		}
		found.dirs = append(found.dirs, file)
		if opaque(file) {
			break
		}
	}
	if found == nil {
		return nil, fs.ErrNotExist
	}
	return found, nil
}

func opaque(dir string) bool {
	var b [1]byte
	n, err := unix.Lgetxattr(dir, "trusted.overlay.opaque", b[:])
	return err == nil && n == 1 && b[0] == 'y'
}

// errUnreadable is a name that holds no file of reasonable size.
var errUnreadable = errors.New("not a regular file of reasonable size")

// read gives a regular file of at most limit bytes.
func (l layers) read(name string, limit int64) ([]byte, error) {
	e, err := l.find(name)
	if err != nil {
		return nil, err
	}
	if !e.is(syscall.S_IFREG) || e.stat.Size > limit {
		return nil, fmt.Errorf("%s: %w", name, errUnreadable)
	}
	return os.ReadFile(e.file)
}

// sizes remembers how large layers are, since counting takes long and they
// never change.
type sizes struct {
	file string

	mu    sync.Mutex
	known map[string]layerSize // by directory
}

// A layerSize holds for the directory that was made then: names come again.
type layerSize struct {
	Inode uint64
	Made  int64 // change time, nanoseconds
	Bytes int64
}

// total is the size of all layers, unpacked. A file with several names counts once.
func (s *sizes) total(l layers) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]layerSize{}
		readJSON(s.file, &s.known) // none or a broken one: count again
	}
	var sum int64
	changed := false
	for _, dir := range l {
		var st syscall.Stat_t
		if err := syscall.Lstat(dir, &st); err != nil {
			return 0, err
		}
		k, ok := s.known[dir]
		if !ok || k.Inode != st.Ino || k.Made != st.Ctim.Nano() {
			n, err := bytesBelow(dir)
			if err != nil {
				return 0, err
			}
			k = layerSize{st.Ino, st.Ctim.Nano(), n}
			s.known[dir], changed = k, true
		}
		sum += k.Bytes
	}
	if !changed {
		return sum, nil
	}
	return sum, writeJSON(s.file, s.known)
}

func bytesBelow(dir string) (int64, error) {
	var sum int64
	seen := map[[2]uint64]bool{} // files with several names
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return nil
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if st := fi.Sys().(*syscall.Stat_t); st.Nlink > 1 {
			id := [2]uint64{uint64(st.Dev), st.Ino}
			if seen[id] {
				return nil
			}
			seen[id] = true
		}
		sum += fi.Size()
		return nil
	})
	return sum, err
}
