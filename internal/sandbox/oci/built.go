package oci

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"
)

// build builds an image, or gives what the same files were built to before: most
// steps change manifests only, and asking BuildKit takes tenths of a second.
func (e *engine) build(ctx context.Context, a *app.App, im *app.Image, progress sandbox.Progress) (*image.Image, error) {
	key, err := buildKey(a.Root, im.Build)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	known := e.built[key]
	e.mu.Unlock()
	if known != nil {
		same := *known
		same.Ref = im.Ref
		return &same, nil
	}
	built, err := e.store.Build(ctx, im.Ref, a.Root, im.Build, progress)
	if err == nil {
		e.mu.Lock()
		e.built[key] = built
		e.mu.Unlock()
	}
	return built, err
}

// buildKey names everything that a build depends on. A walk's copies of a folder
// share the files that no step changed, and a changed file is a new one: so it is
// enough to know which files they are.
func buildKey(root string, b *app.Build) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q\n", b.Dockerfile.File, b.Dockerfile.Content, b.Target, fmt.Sprint(b.Args)) // Sprint sorts a map
	top := filepath.Join(root, filepath.FromSlash(b.Context))
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		return describe(h, name, rel, info)
	})
	if err != nil {
		return "", fmt.Errorf("look at the build's files: %w", err)
	}
	return string(h.Sum(nil)), nil
}

// describe writes what tells a file apart from every other: for a directory its
// name and mode, for a link where it leads.
func describe(w io.Writer, name, rel string, info fs.FileInfo) error {
	fmt.Fprintf(w, "%q %v", rel, info.Mode())
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(name)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, " %q", target)
	case info.Mode().IsRegular():
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("%s has no inode", name)
		}
		fmt.Fprintf(w, " %d %d %d %d %d:%d", st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Uid, st.Gid)
	}
	_, err := fmt.Fprintln(w)
	return err
}
