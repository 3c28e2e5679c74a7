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
	"syscall"
)

// Write replaces files below root, each atomically, with the owner and mode that
// the file had. All new content is on disk before the first file is replaced, so
// that a full disk or a missing right leaves every file as it was. Links that
// lead out of root are an error; one that leads to another place inside root
// stays, and what it leads to is replaced. Folders of new files are made.
func Write(root string, files Files) (err error) {
	dir, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer dir.Close()
	var temps []staged
	defer func() {
		if err != nil {
			for _, s := range temps {
				dir.Remove(s.temp) // those that took their place are gone from here
			}
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s, err := stage(dir, name, files[name])
		if s.temp != "" {
			temps = append(temps, s)
		}
		if err != nil {
			return fmt.Errorf("%s: not written: %w", name, err)
		}
	}
	for _, s := range temps {
		if err := dir.Rename(s.temp, s.name); err != nil {
			return fmt.Errorf("%s: not written: %w", s.name, err)
		}
		if err := syncFolder(dir, path.Dir(s.name)); err != nil {
			return fmt.Errorf("%s: written, but may not outlast a crash: %w", s.name, err)
		}
	}
	return nil
}

// A staged file is new content that has yet to take its place.
type staged struct{ temp, name string }

// stage makes the new file beside the old one. What it has made is named also
// where it fails.
func stage(dir *os.Root, name string, content []byte) (s staged, err error) {
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
	if _, err := dir.Lstat(s.name); errors.Is(err, fs.ErrNotExist) && bytes.HasPrefix(content, []byte("#!")) {
		mode |= 0o111 // a program
	}
	temp, f, err := create(dir, s.name)
	if err != nil {
		return s, err
	}
	s.temp = temp
	_, err = f.Write(content)
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		err = f.Chmod(mode) // after chown, which takes setuid bits away
	}
	if err == nil {
		err = f.Sync()
	}
	return s, errors.Join(err, f.Close())
}

// follow goes from a link to the file that it leads to, inside root.
func follow(dir *os.Root, name string) (string, error) {
	for range 40 {
		info, err := dir.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return name, nil
		}
		if err != nil {
			return "", err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			return name, nil
		}
		if _, err := dir.Stat(name); err != nil { // refuses links that lead out
			return "", err
		}
		to, err := dir.Readlink(name)
		if err != nil {
			return "", err
		}
		if path.IsAbs(to) {
			return "", errors.New("a link to an absolute path is not followed")
		}
		name = path.Join(path.Dir(name), to)
	}
	return "", errors.New("too many links")
}

// makeFolder makes the folder of a new file where it is missing, with the owner
// and the mode of the one that it is in.
func makeFolder(dir *os.Root, name string) error {
	_, err := dir.Stat(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeFolder(dir, path.Dir(name)); err != nil {
		return err
	}
	above, err := dir.Stat(path.Dir(name))
	if err != nil {
		return err
	}
	if err := dir.Mkdir(name, above.Mode().Perm()); err != nil {
		return err
	}
	err = dir.Chmod(name, above.Mode()&(fs.ModePerm|fs.ModeSetgid)) // whatever the umask
	if st, ok := above.Sys().(*syscall.Stat_t); ok && err == nil && os.Geteuid() == 0 {
		err = dir.Chown(name, int(st.Uid), int(st.Gid))
	}
	return err
}

// owner says whose the file is and is to be: a new one belongs to the owner of
// its folder.
func owner(dir *os.Root, name string) (mode fs.FileMode, uid, gid int, err error) {
	info, err := dir.Stat(name)
	mode = 0o644
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if info, err = dir.Stat(path.Dir(name)); err != nil {
			return 0, 0, 0, err
		}
	case err != nil:
		return 0, 0, 0, err
	case !info.Mode().IsRegular():
		return 0, 0, 0, errors.New("not a regular file")
	default:
		mode = info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	}
	uid, gid = -1, -1
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		uid, gid = int(st.Uid), int(st.Gid)
	}
	return mode, uid, gid, nil
}

// create makes a file beside name that no other program uses. It can be read by
// its owner alone until it has its mode.
func create(dir *os.Root, name string) (string, *os.File, error) {
	for i := range 1000 {
		temp := path.Join(path.Dir(name), fmt.Sprintf(".%s.road-%d-%d", path.Base(name), os.Getpid(), i))
		f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if !errors.Is(err, fs.ErrExist) {
			return temp, f, err
		}
	}
	return "", nil, errors.New("no name is free for a new file beside it")
}

// syncFolder makes a rename last through a crash of the machine.
func syncFolder(dir *os.Root, name string) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
