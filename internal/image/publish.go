package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// A published record says what a digest stands for that a registry gave to an
// image of this store, so that a later walk can run the image by it.
type published struct {
	Layers []publishedLayer // top first
	Config ocispec.ImageConfig
}

type publishedLayer struct{ Dir, Digest string }

// Publish pushes img to h under its own name and its digest, and keeps it for Pull
// by that. No tag moves: several variants of an image are published side by side.
func (s *Store) Publish(ctx context.Context, h *Hub, img *Image) (digest string, err error) {
	return s.publish(img, func(o v1.Image) (string, error) {
		d, err := o.Digest()
		if err != nil {
			return "", err
		}
		plain, _, _ := strings.Cut(img.Ref, "@")
		return h.Push(ctx, plain+"@"+d.String(), o)
	})
}

// PublishTo pushes img to the registry host, a name that may have folders behind
// it, and reads its digest back. ref is the name that it has there, img's own
// where that is host's already.
func (s *Store) PublishTo(ctx context.Context, host string, img *Image, progress func(line string)) (ref, digest string, err error) {
	say := sayer(progress)
	ref = img.Ref
	r, err := name.ParseReference(ref)
	if err != nil {
		return "", "", fmt.Errorf("image %q: %w", ref, err)
	}
	if !strings.HasPrefix(r.Context().Name(), canonical(host)+"/") {
		ref = host + "/" + img.Ref
		if r, err = name.ParseReference(ref); err != nil {
			return "", "", fmt.Errorf("image %q: %w", ref, err)
		}
	}
	digest, err = s.publish(img, func(o v1.Image) (string, error) {
		say(fmt.Sprintf("%s: pushing to %s", img.Ref, r.Context().RegistryStr()))
		err := s.registry.ask(ctx, r, say, func(opts []remote.Option) error { return remote.Write(r, o, opts...) })
		if err != nil {
			return "", err
		}
		return s.registry.head(ctx, r, say)
	})
	if err != nil && ctx.Err() == nil {
		err = withHint(fmt.Errorf("cannot push %s: %w", ref, err), "a registry that asks for it needs a docker login with the right to push")
	}
	return ref, digest, err
}

// canonical is a registry with folders behind it as references have it: docker.io
// is another name for index.docker.io.
func canonical(host string) string {
	registry, folders, _ := strings.Cut(host, "/")
	if r, err := name.NewRegistry(registry); err == nil {
		registry = r.Name()
	}
	return path.Join(registry, folders)
}

// publish has push give img a digest, and notes what that stands for.
func (s *Store) publish(img *Image, push func(v1.Image) (string, error)) (string, error) {
	o, err := s.OCI(img)
	if err != nil {
		return "", err
	}
	digest, err := push(o)
	if err != nil {
		return "", err
	}
	if own, err := o.Digest(); err != nil || own.String() != digest {
		return "", errors.Join(err, fmt.Errorf("image %s: the registry calls it %s, and it is %s", img.Ref, digest, own))
	}
	rec := published{Config: img.Config}
	for _, dir := range img.Lowers {
		l, err := s.digests.layer(dir)
		if err != nil {
			return "", err
		}
		rec.Layers = append(rec.Layers, publishedLayer{dir, l.hash.String()})
	}
	return digest, s.explain(writeJSON(s.publishedFile(digest), rec))
}

func (s *Store) publishedFile(digest string) string {
	return filepath.Join(s.o.Dir, "published", fileName(digest)+".json")
}

// published finds what a digest stands for; nil where it was not published from
// here, or a layer of it is not what it was.
func (s *Store) published(digest string) (lowers []string, cfg *ocispec.ImageConfig) {
	var rec published
	if readJSON(s.publishedFile(digest), &rec) != nil {
		return nil, nil
	}
	for _, p := range rec.Layers {
		if l, err := s.digests.layer(p.Dir); err != nil || l.hash.String() != p.Digest {
			return nil, nil
		}
		lowers = append(lowers, p.Dir)
	}
	return lowers, &rec.Config
}

// FromRegistry makes img, which a registry gave, into directories. Layers that
// the store has are found by their digest; the others are kept until the store
// is closed.
func (s *Store) FromRegistry(ctx context.Context, ref string, img v1.Image) (*Image, error) {
	d, err := img.Digest()
	if err != nil {
		return nil, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return nil, err
	}
	var cfg ocispec.Image
	if err := json.Unmarshal(raw, &cfg); err != nil {
		return nil, fmt.Errorf("image config: %w", err)
	}
	ls, err := img.Layers()
	if err != nil {
		return nil, err
	}
	var lowers []string // top first
	for _, l := range ls {
		dir, err := s.layerDir(ctx, l, lowers)
		if err != nil {
			return nil, s.explain(fmt.Errorf("image %q: %w", ref, err))
		}
		lowers = slices.Insert(lowers, 0, dir)
	}
	out, err := s.image(ref, d.String(), lowers, cfg.Config, nil)
	if err == nil {
		out.Digest = d.String()
	}
	return out, err
}

// layerDir finds or makes the directory of a layer on top of below.
func (s *Store) layerDir(ctx context.Context, l v1.Layer, below []string) (string, error) {
	diff, err := l.DiffID()
	if err != nil {
		return "", err
	}
	if dir := s.digests.dir(diff); dir != "" {
		return dir, nil
	}
	s.mu.Lock()
	dir := s.fetched[diff]
	s.mu.Unlock()
	if dir != "" {
		return dir, nil
	}
	tmp, done, err := s.tempDir("layer")
	if err != nil {
		return "", err
	}
	dir = filepath.Join(tmp, "root")
	if err = os.Mkdir(dir, 0o755); err == nil {
		err = unpackInto(ctx, dir, l, diff, below)
	}
	if err != nil {
		done()
		return "", fmt.Errorf("layer %.19s: %w", diff, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fetched[diff] = dir
	s.atClose = append(s.atClose, done)
	return dir, nil
}
