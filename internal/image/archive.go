package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Archive takes ref from file, which lies below root: a docker save file or the
// folder of an OCI layout. Where it holds several images, ref says which. No
// link may lead it out of root, and none may lie in the layout. progress may be nil.
func (s *Store) Archive(ctx context.Context, ref, root, file string, progress func(line string)) (*Image, error) {
	fail := func(err error) error {
		return withHint(fmt.Errorf("image %s: %s: %w", ref, file, err), "name a docker save file or the folder of an OCI layout under images: in road.yaml")
	}
	dir, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	info, err := dir.Stat(filepath.FromSlash(file))
	if err == nil {
		err = plainFiles(dir, filepath.FromSlash(file), info)
	}
	if err = errors.Join(err, dir.Close()); err != nil {
		return nil, fail(err)
	}
	img, err := archived(ref, filepath.Join(root, filepath.FromSlash(file)), info)
	if err != nil {
		return nil, fail(err)
	}
	digest, err := img.Digest()
	if err != nil {
		return nil, fail(err)
	}
	if _, want, ok := strings.Cut(ref, "@"); ok && want != digest.String() {
		return nil, fail(fmt.Errorf("what it holds is %s", digest))
	}
	return s.unpacked(ctx, ref, img, []string{fmt.Sprintf("%s taken from %s", ref, file)}, sayer(progress))
}

// plainFiles refuses what would be opened in an archive's place: a link in a layout
// may lead anywhere, and a pipe or a device has no end.
func plainFiles(root *os.Root, file string, info fs.FileInfo) error {
	if !info.IsDir() {
		if !info.Mode().IsRegular() {
			return errors.New("it is no regular file")
		}
		return nil
	}
	dir, err := root.OpenRoot(file)
	if err != nil {
		return err
	}
	for _, part := range []string{ocispec.ImageLayoutFile, ocispec.ImageIndexFile, ocispec.ImageBlobsDir} {
		err = errors.Join(err, fs.WalkDir(dir.FS(), part, func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // who reads the layout says so
			case err == nil && !d.IsDir() && !d.Type().IsRegular():
				return fmt.Errorf("%s in it is neither a folder nor a regular file", name)
			}
			return err
		}))
	}
	return errors.Join(err, dir.Close())
}

// archived opens the image that ref names in a file or folder.
func archived(ref, file string, info fs.FileInfo) (v1.Image, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	plain, _, _ := strings.Cut(ref, "@")
	if info.IsDir() {
		return layoutImage(file, r.Name(), plain, r.Identifier())
	}
	img, err := tarball.ImageFromPath(file, nil)
	if err == nil {
		return img, nil
	}
	tag, terr := name.NewTag(plain)
	if terr != nil {
		return nil, err
	}
	if img, err = tarball.ImageFromPath(file, &tag); err != nil {
		return nil, fmt.Errorf("no image %s: %w", plain, err)
	}
	return img, nil
}

// layoutImage finds the one image in a layout, or the one for this machine, or
// the one that has one of the names.
func layoutImage(dir string, names ...string) (v1.Image, error) {
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	return pick(idx, names)
}

func pick(idx v1.ImageIndex, names []string) (v1.Image, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	var fits, named []v1.Descriptor
	for _, d := range m.Manifests {
		if d.Platform != nil && (d.Platform.OS != "linux" || d.Platform.Architecture != runtime.GOARCH) {
			continue
		}
		fits = append(fits, d)
		// containerd's annotation has the whole name, the standard's may have the tag.
		if slices.Contains(names, d.Annotations["io.containerd.image.name"]) || slices.Contains(names, d.Annotations[ocispec.AnnotationRefName]) {
			named = append(named, d)
		}
	}
	if len(fits) > 1 && len(named) > 0 {
		fits = named[:1]
	}
	switch {
	case len(fits) == 0:
		return nil, errors.New("the layout holds no image for linux/" + runtime.GOARCH)
	case len(fits) > 1:
		return nil, fmt.Errorf("the layout holds %d images, and none is called %s", len(fits), strings.Join(names, " or "))
	case fits[0].MediaType.IsIndex():
		inner, err := idx.ImageIndex(fits[0].Digest)
		if err != nil {
			return nil, err
		}
		return pick(inner, nil)
	}
	return idx.Image(fits[0].Digest)
}
