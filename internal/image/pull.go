package image

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A pulled record is what the store knows of an image that was pulled once.
type pulled struct {
	Asked  string   // digest that the registry had for the name, of an index perhaps
	ID     string   // digest of the image's config
	Layers []string // names of directories in pulled/, top first
	Config ocispec.ImageConfig
}

// Pull finds ref: in its registry, in the store where no registry answers, or makes it from packages. A tag whose digest
// has not changed in the registry is taken from the store. progress may be nil.
func (s *Store) Pull(ctx context.Context, ref string, progress func(line string)) (*Image, error) {
	say := sayer(progress)
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
	var img v1.Image
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
	img, err := layoutImage(b.dir)
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
		used(d + ".lock")
	}
	used(file)
	return &p
}

func (s *Store) layerDirs(names []string) []string {
	var dirs []string
	for _, n := range names {
		dirs = append(dirs, filepath.Join(s.o.Dir, "pulled", n))
	}
	return dirs
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
