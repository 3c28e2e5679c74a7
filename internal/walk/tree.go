package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// copyTree copies what a build may need from src to dst, which must not exist:
// everything but .git, since a Dockerfile may COPY any file, ignored by git or
// not. Links stay links, wherever they lead; sockets, pipes and devices are
// passed by. Where file systems can share blocks, they do.
func copyTree(ctx context.Context, src, dst string) error {
	return eachFile(ctx, src, dst, copyFile)
}

// linkTree is copyTree for a copy that nobody writes into: package edit replaces
// files and never changes one, so a hard link serves as well.
func linkTree(ctx context.Context, src, dst string) error {
	return eachFile(ctx, src, dst, func(from, to string, info fs.FileInfo) error {
		if os.Link(from, to) == nil {
			return nil
		}
		return copyFile(from, to, info)
	})
}

type dirTime struct {
	name string
	time time.Time
}

func eachFile(ctx context.Context, src, dst string, file func(from, to string, info fs.FileInfo) error) error {
	inside, err := filepath.Abs(dst)
	if err != nil {
		return err
	}
	// WalkDir does not follow a link at the top.
	if src, err = filepath.EvalSymlinks(src); err != nil {
		return err
	}
	var dirs []dirTime
	err = filepath.WalkDir(src, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rel, err := filepath.Rel(src, name)
		if err != nil {
			return err
		}
		if name == inside || d.Name() == ".git" && rel != "." {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // gone since it was listed
		}
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		switch {
		case d.IsDir():
			dirs = append(dirs, dirTime{to, info.ModTime()})
			return os.MkdirAll(to, info.Mode().Perm()|0o700)
		case info.Mode()&fs.ModeSymlink != 0:
			return copyLink(name, to)
		case info.Mode().IsRegular():
			return file(name, to, info)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("copy the application: %w", err)
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		os.Chtimes(dirs[i].name, dirs[i].time, dirs[i].time) // only a kindness to build caches
	}
	return nil
}

func copyLink(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil {
		return err
	}
	return os.Symlink(target, to)
}

func copyFile(from, to string, info fs.FileInfo) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm()|0o200)
	if err != nil {
		return err
	}
	if _, err := io.Copy(w, r); err != nil {
		w.Close()
		return err
	}
	if err := w.Chmod(info.Mode()); err != nil {
		w.Close()
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}
