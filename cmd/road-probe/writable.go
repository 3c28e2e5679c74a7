package main

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

// notFiles are directories that hold no files of anybody's: the kernel's, and
// what the sandbox mounts.
var notFiles = []string{"/proc", "/sys", "/.road"}

// writable lists the directories below a path, and itself, in which this process may make files, as the
// kernel says. What it may not look into it cannot write in either.
func writable(ctx context.Context, _ *agent, args probe.Path) (any, error) {
	if err := unix.Access(args.Path, unix.F_OK); err != nil {
		return nil, failed("access", args.Path, err) // a filter refuses the question itself
	}
	dirs := []string{}
	err := filepath.WalkDir(args.Path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil || !d.IsDir():
			return nil
		case slices.Contains(notFiles, name):
			return fs.SkipDir
		}
		switch err := unix.Access(name, unix.W_OK|unix.X_OK); {
		case err == nil:
			dirs = append(dirs, name)
		case !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EROFS) && !errors.Is(err, unix.ENOENT):
			return failed("access", name, err)
		}
		return nil
	})
	return dirs, err
}
