package world

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A UserNS is a user namespace for one pod, with the network, ipc and uts
// namespaces that belong to it: a namespace that belongs to the host's users
// would leave the pod's root without any power over it. All are pinned below one
// directory.
type UserNS struct {
	Base uint32 // the id on the host of what is id 0 inside

	dir  string
	user *os.File
}

// UserNSSize is how many ids a UserNS has, as a pod in a cluster.
const UserNSSize = 65536

// belonging are the namespaces of a UserNS, by their names below /proc/PID/ns.
var belonging = []string{"user", "net", "ipc", "uts"}

// NewUserNS makes a user namespace whose ids no other one of this process has,
// and pins it below dir, which must not be there yet.
func NewUserNS(dir string) (*UserNS, error) {
	base, err := ranges().take()
	if err != nil {
		return nil, err
	}
	u := &UserNS{Base: base, dir: dir}
	if err := os.Mkdir(dir, 0o711); err != nil {
		ranges().give(base)
		return nil, err
	}
	if err := inUserNS(base, u.pin); err != nil {
		return nil, errors.Join(fmt.Errorf("make a user namespace: %w", err), u.Close())
	}
	return u, nil
}

// pin keeps the namespaces of a process.
func (u *UserNS) pin(pid int) error {
	for _, name := range belonging {
		if err := os.WriteFile(u.Path(name), nil, 0o600); err != nil {
			return err
		}
		if err := unix.Mount(fmt.Sprintf("/proc/%d/ns/%s", pid, name), u.Path(name), "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("pin the %s namespace: %w", name, err)
		}
	}
	var err error
	u.user, err = os.Open(u.Path("user"))
	return err
}

// Path is where one of its namespaces is pinned: "user", "net", "ipc" or "uts".
func (u *UserNS) Path(name string) string { return filepath.Join(u.dir, name) }

// Close unpins the namespaces. They live on while a process is in them.
func (u *UserNS) Close() error {
	var errs []error
	if u.user != nil {
		errs = append(errs, u.user.Close())
	}
	for _, name := range belonging {
		err := unix.Unmount(u.Path(name), unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && err != unix.EINVAL && err != unix.ENOENT { // never pinned
			errs = append(errs, &os.PathError{Op: "umount", Path: u.Path(name), Err: err})
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err // its ids stay taken
	}
	ranges().give(u.Base)
	return os.RemoveAll(u.dir)
}

// Map mounts source, a directory or a file, at target such that its owners are
// ids inside: what belongs to user 0 on the disk belongs to the namespace's root
// there, and what that root makes belongs to user 0 on the disk. It is how the
// kubelet lets a pod move between user namespaces without a change of owners.
func (u *UserNS) Map(source, target string) error {
	fd, err := mapped(source, int(u.user.Fd()))
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.MoveMount(fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "mount", Path: target, Err: err}
	}
	return nil
}

// mapped gives a detached mount of source whose ids are those of a user namespace.
func mapped(source string, userns int) (int, error) {
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return -1, &os.PathError{Op: "open_tree", Path: source, Err: err}
	}
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns)}
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH, &attr); err != nil {
		unix.Close(fd)
		return -1, &os.PathError{Op: "map the ids of", Path: source, Err: err}
	}
	return fd, nil
}

// ProveUserNS says why user namespaces, or file systems below dirs with mapped
// ids, cannot be had here. It makes one and leaves nothing behind.
func ProveUserNS(dirs ...string) error {
	base, err := ranges().take()
	if err != nil {
		return err
	}
	defer ranges().give(base)
	return inUserNS(base, func(pid int) error {
		user, err := os.Open(fmt.Sprintf("/proc/%d/ns/user", pid))
		if err != nil {
			return err
		}
		defer user.Close()
		for _, d := range dirs {
			fd, err := mapped(d, int(user.Fd()))
			if err != nil {
				return err
			}
			unix.Close(fd)
		}
		return nil
	})
}

// inUserNS calls f with a process that is in a new user namespace, and in a
// network, an ipc and a uts namespace of that. The process never runs: it is
// stopped before its first instruction, and killed when f is done.
func inUserNS(base uint32, f func(pid int) error) error {
	done := make(chan error)
	go func() {
		// Who traces a process is a thread. This one ends with its work.
		runtime.LockOSThread()
		ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: int(base), Size: UserNSSize}}
		p, err := os.StartProcess("/proc/self/exe", []string{"road"}, &os.ProcAttr{Sys: &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET | unix.CLONE_NEWIPC | unix.CLONE_NEWUTS,
			UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
			Ptrace: true, Pdeathsig: unix.SIGKILL,
		}})
		if err != nil {
			done <- err
			return
		}
		err = f(p.Pid)
		err = errors.Join(err, p.Kill())
		_, werr := p.Wait()
		done <- errors.Join(err, werr)
	}()
	return <-done
}

// An idPool gives ranges of ids on the host to user namespaces.
type idPool struct {
	mu    sync.Mutex
	next  uint32 // in units of UserNSSize
	taken map[uint32]bool
}

// Ranges lie where nobody else has his ids by habit: above those that systemd
// gives to containers (0x80000 to 0x6fffffff) and those that SSSD makes of a
// directory's users (200000 to 2000200000), below systemd's
// foreign users at 0x7ffe0000. Where a process begins among them is left to
// chance, so that two of them hardly ever meet.
const firstRange, lastRange = 0x7739, 0x7ffe

// subordinates are the files that say which ids the host has given away.
var subordinates = []string{"/etc/subuid", "/etc/subgid"}

var ranges = sync.OnceValue(func() *idPool {
	return &idPool{next: firstRange + rand.Uint32N(lastRange-firstRange), taken: given(subordinates...)}
})

// given reads which ranges files of the form of subuid(5) give to somebody. A
// file that is not there gives nothing, and neither does a line of no sense.
func given(files ...string) map[uint32]bool {
	taken := map[uint32]bool{}
	for _, name := range files {
		text, _ := os.ReadFile(name)
		for line := range strings.Lines(string(text)) {
			var first, count uint64
			_, ids, _ := strings.Cut(strings.TrimSpace(line), ":")
			if n, _ := fmt.Sscanf(ids, "%d:%d", &first, &count); n != 2 || count == 0 {
				continue
			}
			from, to := max(first/UserNSSize, firstRange), min((first+count-1)/UserNSSize, lastRange)
			for n := from; n <= to; n++ {
				taken[uint32(n)] = true
			}
		}
	}
	return taken
}

// take gives the first id of a range that is free.
func (p *idPool) take() (uint32, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for range lastRange - firstRange {
		n := p.next
		if p.next++; p.next >= lastRange {
			p.next = firstRange
		}
		if !p.taken[n] {
			p.taken[n] = true
			return n * UserNSSize, nil
		}
	}
	return 0, errors.New("there are no more ids for user namespaces")
}

func (p *idPool) give(base uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, base/UserNSSize)
}
