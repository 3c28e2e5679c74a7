package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// A pulled record is what the store knows of an image that was pulled once.
type pulled struct {
	Asked  string   // digest that the registry had for the name, of an index perhaps
	ID     string   // digest of the image's config
	Layers []string // names of directories in pulled/, top first
	Config ocispec.ImageConfig
}

// Pull finds ref: in an OCI layout or a docker save file ("oci:DIR",
// "docker-archive:FILE", or the file's name alone), in its registry, in the
// store where no registry answers, or makes it from packages. A tag whose digest
// has not changed in the registry is taken from the store. progress may be nil.
func (s *Store) Pull(ctx context.Context, ref string, progress func(line string)) (*Image, error) {
	say := sayer(progress)
	img, err := localImage(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	if img != nil {
		return s.unpacked(ctx, ref, img, nil, say)
	}
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	file := filepath.Join(s.o.Dir, "pulled", fileName(r.Name())+".json")
	old := s.stored(file)
	host := r.Context().RegistryStr()
	var asked string
	if d, ok := r.(name.Digest); ok {
		asked = d.DigestStr()
		if lowers, cfg := s.published(asked); cfg != nil {
			return known(asked, host)(s.image(ref, asked, lowers, *cfg, nil))
		}
	} else if asked, err = s.registry.head(ctx, r, say); err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if old != nil && (asked == old.Asked || err != nil && !answered(err)) {
		return known(old.Asked, host)(s.image(ref, old.ID, s.layerDirs(old.Layers), old.Config, nil))
	}
	exact := r
	if asked != "" { // the tag may be moved at any moment
		exact = r.Context().Digest(asked)
	}
	if img, err = s.registry.image(ctx, exact, say); err == nil {
		rec, err := s.unpack(ctx, ref, img, say)
		if err != nil {
			return nil, s.explain(fmt.Errorf("image %q: %w", ref, err))
		}
		rec.Asked = asked
		if err := writeJSON(file, rec); err != nil {
			return nil, s.explain(err)
		}
		return known(asked, host)(s.image(ref, rec.ID, s.layerDirs(rec.Layers), rec.Config, nil))
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if distributionOf(r) == nil {
		return nil, s.registry.explain(ref, r, err)
	}
	return s.pullBase(ctx, ref, say)
}

// known adds to an image what its registry calls it.
func known(digest, registry string) func(*Image, error) (*Image, error) {
	return func(img *Image, err error) (*Image, error) {
		if err == nil {
			img.Digest, img.Registry = digest, registry
		}
		return img, err
	}
}

// pullBase runs a Debian or Ubuntu image itself.
func (s *Store) pullBase(ctx context.Context, ref string, say func(string)) (*Image, error) {
	b, err := s.base(ctx, ref, say)
	if err != nil {
		return nil, err
	}
	img, err := layoutImage(b.dir, "")
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	return s.unpacked(ctx, ref, img, appendNote(nil, b.Note), say)
}

func (s *Store) unpacked(ctx context.Context, ref string, img v1.Image, notes []string, say func(string)) (*Image, error) {
	rec, err := s.unpack(ctx, ref, img, say)
	if err != nil {
		return nil, s.explain(fmt.Errorf("image %q: %w", ref, err))
	}
	return s.image(ref, rec.ID, s.layerDirs(rec.Layers), rec.Config, notes)
}

// stored reads a record; nil where there is none or a layer of it is gone.
func (s *Store) stored(file string) *pulled {
	var p pulled
	if readJSON(file, &p) != nil {
		return nil
	}
	for _, d := range s.layerDirs(p.Layers) {
		if _, err := os.Stat(d); err != nil {
			return nil
		}
	}
	return &p
}

func (s *Store) layerDirs(names []string) []string {
	var dirs []string
	for _, n := range names {
		dirs = append(dirs, filepath.Join(s.o.Dir, "pulled", n))
	}
	return dirs
}

// localImage opens an image that lies in files; nil where ref names none.
func localImage(ref string) (v1.Image, error) {
	if dir, ok := strings.CutPrefix(ref, "oci:"); ok {
		if _, err := os.Stat(dir); err != nil {
			if i := strings.LastIndexByte(dir, ':'); i > 0 {
				return layoutImage(dir[:i], dir[i+1:])
			}
		}
		return layoutImage(dir, "")
	}
	file, ok := strings.CutPrefix(ref, "docker-archive:")
	if !ok && (strings.HasSuffix(ref, ".tar") || filepath.IsAbs(ref)) {
		fi, err := os.Stat(ref)
		file, ok = ref, err == nil && fi.Mode().IsRegular()
	}
	if !ok {
		return nil, nil
	}
	return tarball.ImageFromPath(file, nil)
}

// layoutImage finds the one image in a layout, or the one for this machine, or
// the one called tag.
func layoutImage(dir, tag string) (v1.Image, error) {
	idx, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	return pick(idx, tag)
}

func pick(idx v1.ImageIndex, tag string) (v1.Image, error) {
	m, err := idx.IndexManifest()
	if err != nil {
		return nil, err
	}
	var fits []v1.Descriptor
	for _, d := range m.Manifests {
		if tag != "" && d.Annotations[ocispec.AnnotationRefName] != tag {
			continue
		}
		if d.Platform != nil && (d.Platform.OS != "linux" || d.Platform.Architecture != runtime.GOARCH) {
			continue
		}
		fits = append(fits, d)
	}
	switch {
	case len(fits) == 0 && tag != "":
		return nil, fmt.Errorf("the layout holds no image %q", tag)
	case len(fits) == 0:
		return nil, errors.New("the layout holds no image for linux/" + runtime.GOARCH)
	case len(fits) > 1:
		return nil, withHint(fmt.Errorf("the layout holds %d images", len(fits)), "name one: oci:DIR:TAG")
	case fits[0].MediaType.IsIndex():
		inner, err := idx.ImageIndex(fits[0].Digest)
		if err != nil {
			return nil, err
		}
		return pick(inner, "")
	}
	return idx.Image(fits[0].Digest)
}

// unpack makes sure that every layer of img lies unpacked in the store.
func (s *Store) unpack(ctx context.Context, ref string, img v1.Image, say func(string)) (*pulled, error) {
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	var cfg ocispec.Image
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return nil, fmt.Errorf("image config: %w", err)
	}
	id, err := img.ConfigName()
	if err != nil {
		return nil, err
	}
	ls, err := img.Layers()
	if err != nil {
		return nil, err
	}
	rec := &pulled{ID: id.String(), Config: cfg.Config}
	for i, l := range ls {
		chain, err := s.unpackLayer(ctx, l, rec.Layers, func(state string) {
			say(fmt.Sprintf("%s: %s layer (%d/%d)", ref, state, i+1, len(ls)))
		})
		if err != nil {
			return nil, err
		}
		rec.Layers = slices.Insert(rec.Layers, 0, chain)
	}
	return rec, nil
}
