package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/containerd/v2/pkg/archive"
	cfs "github.com/containerd/continuity/fs"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// OCI gives img in the form in which registries take it. Its layers are tars
// that are made from the directories while somebody reads them, so it costs
// nothing but to read each directory once, for its digest. The same directories
// always give the same digest.
func (s *Store) OCI(img *Image) (v1.Image, error) {
	var ls []v1.Layer
	for i := len(img.Lowers) - 1; i >= 0; i-- { // the lowest comes first
		l, err := s.digests.layer(img.Lowers[i])
		if err != nil {
			return nil, s.explain(fmt.Errorf("image %s: %w", img.Ref, err))
		}
		ls = append(ls, l)
	}
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	out, err := mutate.AppendLayers(out, ls...)
	if err != nil {
		return nil, err
	}
	c, err := out.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.OS, c.Architecture = "linux", runtime.GOARCH
	raw, err := json.Marshal(img.Config)
	if err == nil {
		err = json.Unmarshal(raw, &c.Config)
	}
	if err != nil {
		return nil, fmt.Errorf("image %s: config: %w", img.Ref, err)
	}
	return mutate.ConfigFile(out, c)
}

// A dirLayer is a directory as a layer.
type dirLayer struct {
	dir  string
	hash v1.Hash // of the tar, which is not compressed
	size int64
}

var _ v1.Layer = (*dirLayer)(nil)

func (l *dirLayer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *dirLayer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l *dirLayer) Size() (int64, error)                 { return l.size, nil }
func (l *dirLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }
func (l *dirLayer) Compressed() (io.ReadCloser, error)   { return l.Uncompressed() }
func (l *dirLayer) Uncompressed() (io.ReadCloser, error) { return tarOf(l.dir), nil }

// tarOf reads a directory as a tar.
func tarOf(dir string) io.ReadCloser {
	r, w := io.Pipe()
	go func() { w.CloseWithError(writeTar(w, dir)) }()
	return r
}

// writeTar writes an overlay directory as a layer: what overlay says with
// devices and attributes, a layer says with names.
func writeTar(w io.Writer, dir string) error {
	cw := archive.NewChangeWriter(w, dir)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		rel := strings.TrimPrefix(name, dir)
		if err != nil || rel == "" {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Mode&syscall.S_IFMT == syscall.S_IFCHR && st.Rdev == 0 {
			return cw.HandleChange(cfs.ChangeKindDelete, rel, nil, nil)
		}
		if err := cw.HandleChange(cfs.ChangeKindAdd, rel, fi, nil); err != nil {
			return err
		}
		if d.IsDir() && opaque(name) {
			return cw.HandleChange(cfs.ChangeKindDelete, path.Join(rel, ".wh..opq"), nil, nil)
		}
		return nil
	})
	return errors.Join(err, cw.Close())
}

// digests remembers what layers are called, since reading them takes long and
// they never change.
type digests struct {
	file string

	mu    sync.Mutex
	known map[string]layerDigest // by directory
	dirs  map[v1.Hash]string
}

// A layerDigest holds for the directory that was made then: names come again.
type layerDigest struct {
	Inode  uint64
	Made   int64 // change time, nanoseconds
	Digest string
	Size   int64
}

// layer gives a directory as a layer.
func (d *digests) layer(dir string) (*dirLayer, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil {
		d.known, d.dirs = map[string]layerDigest{}, map[v1.Hash]string{}
		readJSON(d.file, &d.known) // none or a broken one: read the layers again
	}
	var st syscall.Stat_t
	if err := syscall.Lstat(dir, &st); err != nil {
		return nil, err
	}
	k, ok := d.known[dir]
	if !ok || k.Inode != st.Ino || k.Made != st.Ctim.Nano() {
		r := tarOf(dir)
		h, n, err := v1.SHA256(r)
		if err = errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		k = layerDigest{st.Ino, st.Ctim.Nano(), h.String(), n}
		d.known[dir] = k
		if err := writeJSON(d.file, d.known); err != nil {
			return nil, err
		}
	}
	h, err := v1.NewHash(k.Digest)
	if err != nil {
		return nil, err
	}
	d.dirs[h] = dir
	return &dirLayer{dir, h, k.Size}, nil
}

// dir finds the directory that has a digest; "" where none was asked for.
func (d *digests) dir(h v1.Hash) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	dir := d.dirs[h]
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	return dir
}
