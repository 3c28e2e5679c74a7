package render

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// maxFile is the size in bytes above which a file is not read.
const maxFile = 10 << 20

// A Tree is the files that may be read. Those of a disk are read when they are
// asked for, and kept.
type Tree struct {
	Files map[string][]byte // slash-separated names; what was read from Disk is added
	Disk  fs.FS             // nil: there is nothing but Files
	Root  string            // the folder that Disk is, for who renders; "" for none
}

// NewTree gives a tree of the files and, behind them, of a disk, which may be nil.
func NewTree(files map[string][]byte, disk fs.FS) *Tree {
	return &Tree{Files: maps.Clone(files), Disk: disk}
}

// With gives the tree with one file more, which is not kept with the others.
func (t *Tree) With(name string, content []byte) *Tree {
	return &Tree{Files: map[string][]byte{name: content}, Disk: under{t}}
}

// under is a Tree as the disk of another.
type under struct{ t *Tree }

func (u under) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

// ReadFile gives the content of a file.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	if b, ok := t.Files[name]; ok {
		return b, nil
	}
	if u, ok := t.Disk.(under); ok {
		return u.t.ReadFile(name)
	}
	if t.Disk == nil || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	f, err := t.Disk.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxFile {
		return nil, fmt.Errorf("%s: larger than %d MB", name, maxFile>>20)
	}
	t.Files[name] = b
	return b, nil
}

// IsDir says whether a folder of that name is there.
func (t *Tree) IsDir(name string) bool {
	if name == "." {
		return true
	}
	for f := range t.Files {
		if strings.HasPrefix(f, name+"/") {
			return true
		}
	}
	if u, ok := t.Disk.(under); ok {
		return u.t.IsDir(name)
	}
	if t.Disk == nil || !fs.ValidPath(name) {
		return false
	}
	info, err := fs.Stat(t.Disk, name)
	return err == nil && info.IsDir()
}

// Has says whether a regular file of that name is there.
func (t *Tree) Has(name string) bool {
	if _, ok := t.Files[name]; ok {
		return true
	}
	if u, ok := t.Disk.(under); ok {
		return u.t.Has(name)
	}
	if t.Disk == nil || !fs.ValidPath(name) {
		return false
	}
	info, err := fs.Stat(t.Disk, name)
	return err == nil && info.Mode().IsRegular()
}

// Kustomization gives the name of the kustomization file of a folder, "" for none.
func (t *Tree) Kustomization(dir string) string {
	for _, base := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if name := path.Join(dir, base); t.Has(name) {
			return name
		}
	}
	return ""
}

// Below lists the regular files below a folder, sorted.
func (t *Tree) Below(dir string) []string {
	names := map[string]bool{}
	for f := range t.Files {
		if dir == "." || strings.HasPrefix(f, dir+"/") {
			names[f] = true
		}
	}
	if t.Disk != nil {
		_ = fs.WalkDir(t.Disk, dir, func(name string, e fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return nil
			case e.IsDir() && (e.Name() == ".git" || e.Name() == "node_modules"):
				return fs.SkipDir
			case e.Type().IsRegular():
				names[name] = true
			}
			return nil
		})
	}
	return slices.Sorted(maps.Keys(names))
}
