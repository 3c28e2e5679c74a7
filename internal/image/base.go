package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// A baseImage is an OCI layout on disk that a Dockerfile can start from.
type baseImage struct {
	dir string
	baseRecord
}

// A baseRecord is written into a layout when it is complete.
type baseRecord struct {
	Ref    string // as asked for first
	Digest string // of the image's manifest
	Asked  string // what its registry called it, an index perhaps; "" where it did not come from one
	Note   string // how it came about where it is not the registry's image
}

const baseRecordFile = "road.json"

// base finds ref in the store, in its registry, or makes it from packages. What
// was found once is kept: a base does not change between walks.
func (s *Store) base(ctx context.Context, ref string, say func(string)) (*baseImage, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	dir := filepath.Join(s.o.Dir, "bases", fileName(r.Name()))
	if b := storedBase(dir); b != nil {
		return b, nil
	}
	if d, ok := r.(name.Digest); ok {
		if b := s.baseCalled(d.DigestStr()); b != nil {
			return b, nil
		}
	}
	lock, err := lockAlone(ctx, dir+".lock", func() { say("waiting for another road that gets " + ref) })
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if b := storedBase(dir); b != nil {
		return b, nil
	}
	tmp, done, err := s.tempDir("base")
	if err != nil {
		return nil, err
	}
	defer done()
	rec := baseRecord{Ref: ref}
	if err := s.fillBase(ctx, r, ref, tmp, &rec, say); err != nil {
		return nil, s.explain(err)
	}
	if err := os.RemoveAll(dir); err != nil { // incomplete, since it has no record
		return nil, err
	}
	if err := writeJSON(filepath.Join(tmp, "layout", baseRecordFile), rec); err != nil {
		return nil, s.explain(err)
	}
	if err := os.Rename(filepath.Join(tmp, "layout"), dir); err != nil {
		return nil, err
	}
	return &baseImage{dir, rec}, nil
}

func storedBase(dir string) *baseImage {
	b := &baseImage{dir: dir}
	if readJSON(filepath.Join(dir, baseRecordFile), &b.baseRecord) != nil {
		return nil
	}
	return b
}

// baseCalled finds a base that was pulled under another name and has a digest.
func (s *Store) baseCalled(digest string) *baseImage {
	files, _ := filepath.Glob(filepath.Join(s.o.Dir, "bases", "*", baseRecordFile))
	for _, f := range files {
		if b := storedBase(filepath.Dir(f)); b != nil && b.Asked == digest {
			return b
		}
	}
	return nil
}

// BaseDigest gives what a registry called the image ref, which a Dockerfile
// starts from, when it gave it; "" and the reason where none did.
func (s *Store) BaseDigest(ref string) (digest, registry, why string) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return "", "", err.Error()
	}
	b := storedBase(filepath.Join(s.o.Dir, "bases", fileName(r.Name())))
	switch {
	case b == nil:
		return "", "", "it was not needed to build the image"
	case b.Asked == "" && b.Note == "":
		return "", "", "it was pulled before digests were kept"
	case b.Asked == "":
		return "", "", b.Note
	}
	return b.Asked, r.Context().RegistryStr(), ""
}

// fillBase writes tmp/layout.
func (s *Store) fillBase(ctx context.Context, r name.Reference, ref, tmp string, rec *baseRecord, say func(string)) error {
	dir := filepath.Join(tmp, "layout")
	asked, err := s.registry.head(ctx, r, say)
	var img v1.Image
	if err == nil { // by digest, since the tag may be moved at any moment
		img, err = s.registry.image(ctx, r.Context().Digest(asked), say)
	}
	if err == nil {
		say(ref + ": pulling from " + r.Context().RegistryStr())
		rec.Asked = asked
		if rec.Digest, err = writeLayout(dir, img); err == nil {
			return nil
		}
		os.RemoveAll(dir)
		if fullDisk(err) {
			return err
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d := distributionOf(r)
	if d == nil {
		return s.registry.explain(ref, r, err)
	}
	say(fmt.Sprintf("%s: no registry answers, making it from %s's packages (%s)", ref, d.name, d.suite))
	rec.Asked = ""
	if rec.Digest, err = s.bootstrap(ctx, ref, d, tmp, dir, say); err != nil {
		return err
	}
	rec.Note = fmt.Sprintf("%s made from %s's packages, since no registry answered", ref, d.name)
	return nil
}

// writeLayout downloads img into a new OCI layout.
func writeLayout(dir string, img v1.Image) (digest string, err error) {
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return "", err
	}
	if err := l.AppendImage(img); err != nil {
		return "", err
	}
	d, err := img.Digest()
	return d.String(), err
}

// fileName makes one path element of a reference that nobody else makes.
func fileName(ref string) string {
	sum := sha256.Sum256([]byte(ref))
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-", r):
			return r
		}
		return '_'
	}, ref)
	clean = strings.TrimLeft(clean, ".")
	return clean[:min(len(clean), 100)] + "-" + hex.EncodeToString(sum[:4])
}
