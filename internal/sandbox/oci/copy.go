package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyTree copies a directory with owners, modes, times, links and extended
// attributes. Pods may write in it meanwhile, and put a link in the place of a
// directory at any moment: everything is found from the two directories on, and
// nothing outside of them is read or written.
func copyTree(ctx context.Context, from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	src, err := os.OpenRoot(from)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	defer src.Close()
	dst, err := os.OpenRoot(to)
	if err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	defer dst.Close()
	c := copier{ctx: ctx, src: src, dst: dst, copied: map[[2]uint64]string{}}
	if err := c.directory("."); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	return nil
}

// A copier copies what is below one root into another.
type copier struct {
	ctx      context.Context
	src, dst *os.Root
	copied   map[[2]uint64]string // files with several names, by device and inode
}

// directory copies what a directory holds, then its own mode and times.
func (c *copier) directory(name string) error {
	d, err := c.src.OpenFile(name, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if c.ctx.Err() != nil {
			return c.ctx.Err()
		}
		if err := c.entry(path.Join(name, e.Name())); err != nil {
			return err
		}
	}
	made, err := c.dst.Open(name)
	if err != nil {
		return err
	}
	defer made.Close()
	return settle(made, d, st)
}

// entry copies one thing, whatever it is by now.
func (c *copier) entry(name string) error {
	st, err := c.src.Lstat(name)
	if err != nil {
		return err
	}
	sys := st.Sys().(*syscall.Stat_t)
	id := [2]uint64{uint64(sys.Dev), sys.Ino}
	if first, ok := c.copied[id]; ok && !st.IsDir() {
		return c.dst.Link(first, name)
	}
	switch st.Mode().Type() {
	case 0:
		err = c.file(name)
	case os.ModeDir:
		if err := c.dst.Mkdir(name, 0o700); err != nil {
			return err
		}
		return c.directory(name)
	case os.ModeSymlink:
		err = c.link(name, int(sys.Uid), int(sys.Gid))
	default:
		return nil // a socket or a pipe is of the server that made it
	}
	if err == nil && sys.Nlink > 1 {
		c.copied[id] = name
	}
	return err
}

func (c *copier) link(name string, uid, gid int) error {
	target, err := c.src.Readlink(name)
	if err != nil {
		return err
	}
	if err := c.dst.Symlink(target, name); err != nil {
		return err
	}
	return c.dst.Lchown(name, uid, gid)
}

func (c *copier) file(name string) error {
	// O_NONBLOCK: a pipe in its place must not hold us up.
	in, err := c.src.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	st, err := in.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return fmt.Errorf("%s changes while it is copied", name)
	}
	out, err := c.dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) != nil { // where the file system can share
		if _, err := io.Copy(out, in); err != nil {
			return err
		}
	}
	return settle(out, in, st)
}

// settle gives a copy what its original has beside its content. The owner comes
// first: a new owner takes setuid and file capabilities away.
func settle(out, in *os.File, st os.FileInfo) error {
	sys := st.Sys().(*syscall.Stat_t)
	if err := out.Chown(int(sys.Uid), int(sys.Gid)); err != nil {
		return err
	}
	if err := unix.Fchmod(int(out.Fd()), sys.Mode&0o7777); err != nil {
		return err
	}
	if err := copyAttributes(out, in); err != nil {
		return err
	}
	times := []unix.Timespec{unix.Timespec(sys.Atim), unix.Timespec(sys.Mtim)}
	return unix.UtimesNanoAt(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", out.Fd()), times, 0)
}

// copyAttributes copies the extended attributes that belong to a file, and not to
// the host's security modules.
func copyAttributes(out, in *os.File) error {
	names := make([]byte, 64<<10)
	n, err := unix.Flistxattr(int(in.Fd()), names)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return &os.PathError{Op: "listxattr", Path: in.Name(), Err: err}
	}
	value := make([]byte, 64<<10)
	for _, name := range strings.Split(strings.TrimRight(string(names[:n]), "\x00"), "\x00") {
		if !strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "system.posix_acl_") && name != "security.capability" {
			continue
		}
		n, err := unix.Fgetxattr(int(in.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(out.Fd()), name, value[:n], 0)
		}
		if err != nil {
			return &os.PathError{Op: "copy " + name, Path: in.Name(), Err: err}
		}
	}
	return nil
}
