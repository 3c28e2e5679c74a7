package main

import (
	"context"
	"io"
	"os"
	"sort"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

// self is the probe's own program, however it was started.
const self = "/proc/self/exe"

func status(context.Context, *agent, none) (any, error) {
	b, err := os.ReadFile("/proc/self/status")
	return string(b), err
}

func environ(context.Context, *agent, none) (any, error) { return os.Environ(), nil }

func read(_ context.Context, _ *agent, args probe.ReadArgs) (any, error) {
	if args.Limit <= 0 {
		args.Limit = 1 << 20
	}
	f, err := os.Open(args.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, args.Limit))
	return probe.ReadResult{Data: b}, err
}

func write(_ context.Context, _ *agent, args probe.WriteArgs) (any, error) {
	if args.Self {
		b, err := os.ReadFile(self)
		if err != nil {
			return nil, err
		}
		args.Data = b
	}
	flags := os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	if args.Append {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
	}
	mode := os.FileMode(0o644)
	if args.Mode != 0 {
		mode = os.FileMode(args.Mode & 0o777)
	}
	if args.Mode&0o4000 != 0 {
		mode |= os.ModeSetuid // an empty file has it from the start
	}
	f, err := os.OpenFile(args.Path, flags, mode)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Write(args.Data); err != nil {
		return nil, err
	}
	// After the content: writing takes setuid away. A new file may have its mode
	// already, and then a filter that refuses to change modes holds nobody up.
	if args.Mode != 0 && !hasMode(f, args.Mode) {
		if err := unix.Fchmod(int(f.Fd()), args.Mode); err != nil {
			return nil, failed("chmod", args.Path, err)
		}
	}
	return nil, f.Close()
}

// hasMode says whether an open file has a mode, as in chmod(1).
func hasMode(f *os.File, mode uint32) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Mode&0o7777 == mode
}

func rename(_ context.Context, _ *agent, args probe.FromTo) (any, error) {
	return nil, failed("rename", args.To, unix.Rename(args.From, args.To))
}

func symlink(_ context.Context, _ *agent, args probe.FromTo) (any, error) {
	return nil, failed("symlink", args.To, unix.Symlink(args.From, args.To))
}

func remove(_ context.Context, _ *agent, args probe.Path) (any, error) {
	return nil, os.Remove(args.Path)
}

func mkdir(_ context.Context, _ *agent, args probe.ModeArgs) (any, error) {
	if err := unix.Mkdir(args.Path, args.Mode); err != nil {
		return nil, failed("mkdir", args.Path, err)
	}
	return nil, failed("chmod", args.Path, unix.Chmod(args.Path, args.Mode)) // whatever the umask is
}

func chmod(_ context.Context, _ *agent, args probe.ModeArgs) (any, error) {
	return nil, failed("chmod", args.Path, unix.Chmod(args.Path, args.Mode))
}

func chown(_ context.Context, _ *agent, args probe.ChownArgs) (any, error) {
	return nil, failed("chown", args.Path, unix.Lchown(args.Path, args.UID, args.GID))
}

func stat(_ context.Context, _ *agent, args probe.Path) (any, error) {
	var st unix.Stat_t
	if err := unix.Lstat(args.Path, &st); err != nil {
		return nil, failed("stat", args.Path, err)
	}
	kinds := map[uint32]string{
		unix.S_IFREG: "file", unix.S_IFDIR: "dir", unix.S_IFLNK: "link", unix.S_IFCHR: "char",
		unix.S_IFBLK: "block", unix.S_IFIFO: "fifo", unix.S_IFSOCK: "socket",
	}
	return probe.StatResult{
		UID: int(st.Uid), GID: int(st.Gid), Mode: st.Mode & 0o7777,
		Type: kinds[st.Mode&unix.S_IFMT], Size: st.Size, Device: uint64(st.Rdev),
	}, nil
}

func readDir(_ context.Context, _ *agent, args probe.Path) (any, error) {
	d, err := os.Open(args.Path)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	sort.Strings(names)
	return names, err
}

func mknod(_ context.Context, _ *agent, args probe.MknodArgs) (any, error) {
	kinds := map[string]uint32{"char": unix.S_IFCHR, "block": unix.S_IFBLK, "fifo": unix.S_IFIFO}
	kind, ok := kinds[args.Kind]
	if !ok {
		return nil, failed("mknod", args.Path, unix.EINVAL)
	}
	if args.Mode == 0 {
		args.Mode = 0o600
	}
	device := unix.Mkdev(args.Major, args.Minor)
	return nil, failed("mknod", args.Path, unix.Mknod(args.Path, kind|args.Mode, int(device)))
}

func mount(_ context.Context, _ *agent, args probe.MountArgs) (any, error) {
	return nil, failed("mount", args.Target, unix.Mount(args.Source, args.Target, args.FSType, uintptr(args.Flags), args.Data))
}
