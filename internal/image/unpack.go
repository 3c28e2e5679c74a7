package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/containerd/v2/pkg/archive"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// unpackLayer makes sure that l lies unpacked on top of below, and gives the
// name of its directory in pulled/. The name stands for the layer and all below
// it: a layer does not say who owns a directory that it only passes through, so
// the same layer on another image may look different.
func (s *Store) unpackLayer(ctx context.Context, l v1.Layer, below []string, say func(string)) (string, error) {
	diff, err := l.DiffID()
	if err != nil {
		return "", err
	}
	name := diff.Hex
	if len(below) > 0 {
		sum := sha256.Sum256([]byte(below[0] + " " + diff.Hex))
		name = hex.EncodeToString(sum[:])
	}
	dir := filepath.Join(s.o.Dir, "pulled", name)
	if _, err := os.Stat(dir); err == nil {
		used(dir + ".lock")
		return name, nil
	}
	lock, err := lockAlone(ctx, dir+".lock", func() { say("waiting for another road that unpacks the") })
	if err != nil {
		return "", err
	}
	defer lock.Close()
	used(dir + ".lock")
	if _, err := os.Stat(dir); err == nil {
		return name, nil
	}
	say("unpacking")
	tmp, done, err := s.tempDir("layer")
	if err != nil {
		return "", err
	}
	defer done()
	root := filepath.Join(tmp, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return "", err
	}
	if err := unpackInto(ctx, root, l, diff, s.layerDirs(below)); err != nil {
		return "", fmt.Errorf("layer %.19s: %w", diff, err)
	}
	return name, os.Rename(root, dir)
}

// unpackInto writes l's files as overlay wants them: whiteouts are devices 0/0,
// opaque directories have an attribute. The content must be what diff says.
func unpackInto(ctx context.Context, root string, l v1.Layer, diff v1.Hash, below []string) error {
	r, err := l.Uncompressed()
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	in := io.TeeReader(r, h)
	if _, err := archive.Apply(ctx, root, in,
		archive.WithConvertWhiteout(archive.OverlayConvertWhiteout),
		archive.WithParents(below),
		archive.WithFilter(safeEntry)); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, in); err != nil { // padding, and the check of what was downloaded
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != diff.Hex {
		return fmt.Errorf("content is sha256:%s", got)
	}
	return nil
}

// safeEntry refuses names that leave the image, and drops attributes by which a
// layer could steer the overlay itself.
func safeEntry(h *tar.Header) (bool, error) {
	if leaves(h.Name) {
		return false, fmt.Errorf("entry %q leaves the image", h.Name)
	}
	if h.Typeflag == tar.TypeLink && leaves(h.Linkname) {
		return false, fmt.Errorf("entry %q links to %q, which leaves the image", h.Name, h.Linkname)
	}
	for k := range h.PAXRecords {
		if strings.HasPrefix(k, "SCHILY.xattr.trusted.") || strings.HasPrefix(k, "SCHILY.xattr.user.overlay.") {
			delete(h.PAXRecords, k)
		}
	}
	return true, nil
}

func leaves(name string) bool {
	c := filepath.Clean(name)
	return c == ".." || strings.HasPrefix(c, "../")
}
