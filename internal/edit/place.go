package edit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// accessList is the attribute that holds rights of single users and groups beside a
// file's mode.
const accessList = "system.posix_acl_access"

// hasList says whether a file has an access control list.
func hasList(dir *os.Root, name string) bool {
	f, err := dir.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	n, err := unix.Fgetxattr(int(f.Fd()), accessList, nil)
	return err == nil && n > 0
}

// follow gives the place inside root that a name leads to, through the links on
// its way, each read where it stands.
func follow(dir *os.Root, name string) (string, error) {
	if info, err := dir.Lstat(name); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if _, err := dir.Stat(name); err != nil { // leads out, or nowhere
			return "", err
		}
	}
	at, links := ".", 0
	for todo := strings.Split(name, "/"); len(todo) > 0; {
		next := path.Join(at, todo[0])
		if todo[0] == ".." && at == "." || path.IsAbs(name) {
			return "", errors.New("leads out of the folder")
		}
		todo = todo[1:]
		info, err := dir.Lstat(next)
		switch {
		case err == nil && info.Mode()&fs.ModeSymlink != 0:
			to, err := dir.Readlink(next)
			if links++; err != nil || path.IsAbs(to) || links > 40 {
				return "", errors.Join(errors.New("a link to an absolute path, or too many links"), err)
			}
			todo = append(strings.Split(to, "/"), todo...)
		case err == nil || errors.Is(err, fs.ErrNotExist):
			at = next
		default:
			return "", err
		}
	}
	return at, nil
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
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) || errors.Is(err, syscall.ENOSYS) {
		return nil // some network and user-space file systems have no such thing for folders
	}
	return err
}
