package pod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	securejoin "github.com/cyphar/filepath-securejoin"
	"golang.org/x/sys/unix"
)

// overlay gives a detached overlay mount of lowers, top first, as a descriptor.
// Without upper it is read-only. The new mount API has no limit on the length of
// its options and attaches nothing until all is right; an older kernel gets
// ENOSYS or EINVAL and mountOverlay falls back to mount(2).
func overlay(lowers []string, upper, work string) (int, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("fsopen overlay: %w", err)
	}
	defer unix.Close(fs)
	for _, l := range lowers {
		if err := unix.FsconfigSetString(fs, "lowerdir+", l); err != nil {
			return -1, fmt.Errorf("overlay lower %s: %w", l, err)
		}
	}
	if upper != "" {
		if err := unix.FsconfigSetString(fs, "upperdir", upper); err != nil {
			return -1, fmt.Errorf("overlay upper %s: %w", upper, err)
		}
		if err := unix.FsconfigSetString(fs, "workdir", work); err != nil {
			return -1, fmt.Errorf("overlay work %s: %w", work, err)
		}
		// A container's own layer ends with it, so nothing has to reach the disk:
		// without this, a package manager spends most of its time in fsync.
		if err := unix.FsconfigSetFlag(fs, "volatile"); err != nil {
			return -1, fmt.Errorf("overlay volatile: %w", err)
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("overlay: %w", err)
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
}

// mountOverlay mounts lowers, top first, at target.
func mountOverlay(lowers []string, upper, work, target string) error {
	fd, err := overlay(lowers, upper, work)
	if err == nil {
		defer unix.Close(fd)
		err = unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return mountOverlayOld(lowers, upper, work, target)
	}
	if err != nil {
		return fmt.Errorf("root file system: %w", err)
	}
	return nil
}

// mountOverlayOld is for kernels before 6.5, which have no lowerdir+.
func mountOverlayOld(lowers []string, upper, work, target string) error {
	o := "lowerdir=" + strings.Join(lowers, ":")
	if upper != "" {
		o += ",upperdir=" + upper + ",workdir=" + work
	}
	if err := unix.Mount("overlay", target, "overlay", 0, o); err != nil {
		return fmt.Errorf("root file system: mount overlay of %d layers: %w", len(lowers), err)
	}
	return nil
}

// A skeleton is a directory that holds what an image lacks of the mount points
// that a container needs. As the top lower layer it keeps the upper layer empty:
// whatever is found there was written by the container.
type skeleton struct {
	dir  string // the skeleton
	view string // the image's merged root
}

// add makes a mount point, a directory or a file, unless the image has it. Its
// existing parents get the mode and owner that they have in the image, since the
// top layer's win.
func (s skeleton) add(name string, file bool) error {
	resolved, err := securejoin.SecureJoin(s.view, name)
	if err != nil {
		return fmt.Errorf("mount point %s: %w", name, err)
	}
	rel, err := filepath.Rel(s.view, resolved)
	if err != nil || rel == "." {
		return err
	}
	if _, err := os.Lstat(resolved); err == nil {
		return nil
	}
	parts := strings.Split(rel, "/")
	for i := range parts {
		part := filepath.Join(parts[:i+1]...)
		if err := s.level(part, file && i == len(parts)-1); err != nil {
			return fmt.Errorf("mount point %s: %w", name, err)
		}
	}
	return nil
}

// level makes one element of a mount point's path.
func (s skeleton) level(part string, file bool) error {
	made := filepath.Join(s.dir, part)
	if _, err := os.Lstat(made); err == nil {
		return nil
	}
	st, err := os.Lstat(filepath.Join(s.view, part))
	switch {
	case errors.Is(err, fs.ErrNotExist) && file:
		return writeFile(made, nil, 0o644)
	case errors.Is(err, fs.ErrNotExist):
		if err := os.Mkdir(made, 0o755); err != nil {
			return err
		}
		return os.Chmod(made, 0o755)
	case err != nil:
		return err
	case !st.IsDir():
		return fmt.Errorf("/%s is not a directory", part)
	}
	if err := os.Mkdir(made, 0o755); err != nil {
		return err
	}
	return copyOwner(made, st)
}

// copyOwner gives a new directory the owner, mode and times of another.
func copyOwner(made string, st os.FileInfo) error {
	sys := statT(st)
	if err := os.Lchown(made, int(sys.Uid), int(sys.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(made, sys.Mode&0o7777); err != nil {
		return err
	}
	return os.Chtimes(made, st.ModTime(), st.ModTime())
}

// rootfs are the directories of one run of a container.
type rootfs struct {
	root  string // mounted
	upper string // what was written
}

// makeRootfs mounts a fresh root over the image's layers. points are the mount
// points that must exist; true stands for a file.
func (p *Pod) makeRootfs(bundle, disk string, lowers []string, points map[string]bool) (*rootfs, error) {
	r := &rootfs{root: filepath.Join(bundle, "rootfs"), upper: filepath.Join(disk, "upper")}
	work, skel, empty := filepath.Join(disk, "work"), filepath.Join(bundle, "skeleton"), filepath.Join(bundle, "empty")
	for _, d := range []string{r.root, r.upper, work, skel, filepath.Join(empty, "1"), filepath.Join(empty, "2")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := r.fill(lowers, skel, empty, points); err != nil {
		return nil, err
	}
	if err := p.giveShifted(r.upper); err != nil {
		return nil, err
	}
	if err := p.mountLayers(bundle, append([]string{skel}, lowers...), r.upper, work, r.root); err != nil {
		return nil, err
	}
	return r, nil
}

// fill makes the skeleton while the image is mounted for reading.
func (r *rootfs) fill(lowers []string, skel, empty string, points map[string]bool) error {
	// The kernel wants two layers where there is no upper one.
	layers := append(append([]string(nil), lowers...), filepath.Join(empty, "1"), filepath.Join(empty, "2"))
	if err := mountOverlay(layers, "", "", r.root); err != nil {
		return err
	}
	defer unix.Unmount(r.root, unix.MNT_DETACH)
	st, err := os.Stat(r.root)
	if err != nil {
		return err
	}
	for _, d := range []string{skel, r.upper} {
		if err := copyOwner(d, st); err != nil {
			return err
		}
	}
	s := skeleton{dir: skel, view: r.root}
	for _, name := range sortedKeys(points) {
		if err := s.add(name, points[name]); err != nil {
			return err
		}
	}
	return nil
}
