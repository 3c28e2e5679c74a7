package edit

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// Write replaces files below root, each atomically, with the owner, group and mode
// that the file had. All new content is on disk before the first file is replaced,
// so that a full disk or a missing right leaves every file as it was; where one
// cannot be replaced after all, those before it are put back.
//
// A file whose owner, group or access control list a new file cannot be given, as
// that of another user for all but root, is written into, or named in the error
// where that is not allowed: a crash of the machine in that moment may leave it
// half written. Other extended attributes are not kept, and a file with several
// hard links parts from the other names, which keep the old content.
//
// Links that lead out of root are an error; one that leads to another place inside
// root stays, and what it leads to is replaced. Folders of new files are made.
func Write(root string, files Files) (err error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	var all []*staged
	defer func() {
		for _, s := range all {
			err = errors.Join(err, s.close(dir))
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s, err := stage(dir, name, files[name])
		all = append(all, s)
		if err != nil {
			return fmt.Errorf("%s: not written: %w", name, err)
		}
	}
	return placeAll(dir, all)
}

// placeAll puts all new content where it belongs, or what was there before back.
func placeAll(dir *os.Root, all []*staged) error {
	folders := map[string]bool{}
	for i, s := range all {
		if err := s.place(dir); err != nil {
			err = fmt.Errorf("%s: not written: %w", s.name, err)
			for _, done := range all[:i+1] {
				err = errors.Join(err, done.undo(dir))
			}
			return err
		}
		folders[path.Dir(s.name)] = true
	}
	for _, name := range slices.Sorted(maps.Keys(folders)) {
		if err := syncFolder(dir, name); err != nil {
			return fmt.Errorf("%s: written, but may not outlast a crash: %w", name, err)
		}
	}
	return nil
}

// A staged file is new content that has yet to take its place.
type staged struct {
	name     string // links followed
	content  []byte
	old      []byte
	existed  bool
	temp     string   // the new file beside the old one; "" once it has its place
	into     *os.File // the old file, open, where it is to be written into
	replaced bool     // or perhaps in part, where it is written into
}

// stage makes the new file beside the old one. What it has made is named also
// where it fails.
func stage(dir *os.Root, name string, content []byte) (s *staged, err error) {
	s = &staged{content: content}
	if s.name, err = follow(dir, name); err != nil {
		return s, err
	}
	if err := makeFolder(dir, path.Dir(s.name)); err != nil {
		return s, err
	}
	mode, uid, gid, err := owner(dir, s.name)
	if err != nil {
		return s, err
	}
	s.old, err = dir.ReadFile(s.name)
	s.existed = err == nil
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return s, err
	case !s.existed && bytes.HasPrefix(content, []byte("#!")):
		mode |= 0o111 // a program
	}
	temp, f, err := create(dir, s.name)
	if err != nil {
		return s, err
	}
	s.temp = temp
	defer func() { err = errors.Join(err, f.Close()) }()
	if s.existed || os.Geteuid() == 0 {
		err = f.Chown(uid, gid)
	}
	if s.existed {
		if err != nil || hasList(dir, s.name) {
			return s, s.open(dir, uid, gid)
		}
		unix.Fremovexattr(int(f.Fd()), accessList) // what it has of its folder
	}
	if err == nil {
		_, err = f.Write(content)
	}
	if err == nil {
		err = f.Chmod(mode) // after chown, which takes setuid bits away
	}
	if err == nil {
		err = f.Sync()
	}
	return s, err
}

// open prepares to write into the file itself, which belongs to uid and gid.
func (s *staged) open(dir *os.Root, uid, gid int) (err error) {
	if s.into, err = dir.OpenFile(s.name, os.O_WRONLY, 0); err != nil {
		return fmt.Errorf("a new file could not belong to user %d and group %d as it does: %w", uid, gid, err)
	}
	return nil
}

// place puts the new content where it belongs.
func (s *staged) place(dir *os.Root) error {
	if s.into != nil {
		s.replaced = true
		return overwrite(s.into, s.content)
	}
	if err := dir.Rename(s.temp, s.name); err != nil {
		return err
	}
	s.replaced, s.temp = true, ""
	return nil
}

func overwrite(f *os.File, content []byte) error {
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	if err := f.Truncate(int64(len(content))); err != nil {
		return err
	}
	return f.Sync()
}

// undo puts the old content back.
func (s *staged) undo(dir *os.Root) (err error) {
	switch {
	case !s.replaced:
		return nil
	case s.into != nil:
		err = overwrite(s.into, s.old)
	case !s.existed:
		err = dir.Remove(s.name)
	default:
		var back *staged
		if back, err = stage(dir, s.name, s.old); err == nil {
			err = back.place(dir)
		}
		err = errors.Join(err, back.close(dir))
	}
	if err != nil {
		return fmt.Errorf("%s: stays changed: %w", s.name, err)
	}
	return nil
}

// close takes away what is no longer of use.
func (s *staged) close(dir *os.Root) (err error) {
	if s.temp != "" {
		err = dir.Remove(s.temp)
		s.temp = ""
	}
	if s.into != nil {
		err = errors.Join(err, s.into.Close())
	}
	return err
}
