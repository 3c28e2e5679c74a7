package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

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
// was found once is kept until its registry has something else by that name.
func (s *Store) base(ctx context.Context, ref string, say func(string)) (*baseImage, error) {
	b, err := s.findBase(ctx, ref, say)
	if err == nil {
		used(filepath.Join(b.dir, baseRecordFile))
	}
	return b, err
}

func (s *Store) findBase(ctx context.Context, ref string, say func(string)) (*baseImage, error) {
	r, err := name.ParseReference(ref)
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", ref, err)
	}
	dir := filepath.Join(s.o.Dir, "bases", fileName(r.Name()))
	if d, ok := r.(name.Digest); ok {
		b := storedBase(dir)
		if b == nil {
			b = s.baseCalled(d.DigestStr())
		}
		if b != nil {
			return b, nil
		}
	} else if b := storedBase(dir); b != nil {
		return s.current(ctx, r, ref, b, say)
	}
	lock, err := lockBase(ctx, dir, ref, say)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if b := storedBase(dir); b != nil {
		return b, nil
	}
	return s.newBase(ctx, r, ref, dir, say)
}

func lockBase(ctx context.Context, dir, ref string, say func(string)) (*os.File, error) {
	return lockAlone(ctx, dir+".lock", func() { say("waiting for another road that gets " + ref) })
}

// newBase gets ref into dir, which is locked. What is there is kept beside it:
// somebody may be building from it.
func (s *Store) newBase(ctx context.Context, r name.Reference, ref, dir string, say func(string)) (*baseImage, error) {
	tmp, done, err := s.tempDir("base")
	if err != nil {
		return nil, err
	}
	defer done()
	rec := baseRecord{Ref: ref}
	if err := s.fillBase(ctx, r, ref, tmp, &rec, say); err != nil {
		return nil, s.explain(err)
	}
	made := filepath.Join(tmp, "layout")
	if storedBase(dir) != nil {
		err = replaceLayout(dir, made)
	} else if err = os.RemoveAll(dir); err == nil { // incomplete, since it has no record
		err = os.Rename(made, dir)
	}
	if err == nil {
		err = writeJSON(filepath.Join(dir, baseRecordFile), rec)
	}
	if err != nil {
		return nil, s.explain(err)
	}
	return &baseImage{dir, rec}, nil
}

// replaceLayout makes the layout dir hold what from does. Its blobs stay.
func replaceLayout(dir, from string) error {
	blobs, err := filepath.Glob(filepath.Join(from, "blobs", "*", "*"))
	if err != nil {
		return err
	}
	for _, b := range append(blobs, filepath.Join(from, "index.json")) {
		name, err := filepath.Rel(from, b)
		if err != nil {
			return err
		}
		if err := os.Rename(b, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// hurry is how long a registry may take to say what a tag stands for now, where
// there is something to go on with.
const hurry = 3 * time.Second

// current gives b, or what ref stands for in its registry now where that is
// something else. Each name is asked about once in the life of a store. Where
// nobody answers, b is as good as before.
func (s *Store) current(ctx context.Context, r name.Reference, ref string, b *baseImage, say func(string)) (*baseImage, error) {
	s.asking.Lock()
	defer s.asking.Unlock()
	if s.asked[r.Name()] {
		return cmp.Or(storedBase(b.dir), b), nil
	}
	s.asked[r.Name()] = true
	soon, cancel := context.WithTimeout(ctx, hurry)
	defer cancel()
	host := r.Context().RegistryStr()
	if s.asked[host] { // it was too slow for another name
		return b, nil
	}
	now, err := s.registry.head(soon, r, say)
	s.asked[host] = soon.Err() != nil
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case b.Asked == "" && notFound(err): // it was made from packages, when nobody could say that there is no such image
		return nil, s.registry.explain(ref, r, err)
	case err != nil || now == b.Asked:
		return b, nil
	}
	lock, err := lockBase(ctx, b.dir, ref, say)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if other := storedBase(b.dir); other != nil && other.Asked == now {
		return other, nil
	}
	say(ref + ": " + host + " has another image by that name by now")
	next, err := s.newBase(ctx, r, ref, b.dir, say)
	if err != nil && ctx.Err() == nil && !fullDisk(err) {
		say(fmt.Sprintf("%s: staying with the one that is here: %v", ref, err))
		return b, nil
	}
	return next, err
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
	if d == nil || notFound(err) { // no such image, which packages of the same release would only hide
		return s.registry.explain(ref, r, err)
	}
	why, now := "no registry answered", "no registry answers"
	if answered(err) {
		why = r.Context().RegistryStr() + " refuses it: " + refusal(err)
		now = why
	}
	say(fmt.Sprintf("%s: %s, making it from %s's packages (%s)", ref, now, d.name, d.suite))
	rec.Asked = ""
	if rec.Digest, err = s.bootstrap(ctx, ref, d, tmp, dir, say); err != nil {
		return err
	}
	rec.Note = fmt.Sprintf("%s made from %s's packages, since %s", ref, d.name, why)
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
