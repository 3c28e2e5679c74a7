package image

import (
	"archive/tar"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// A world of registries that answer inside this process, whatever their names.
func everywhere(s *Store) (h http.Handler) {
	h = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s.registry.client = handlerTransport{h}
	return h
}

func pushTo(t *testing.T, h http.Handler, ref string, img v1.Image) string {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, img, remote.WithTransport(handlerTransport{h})); err != nil {
		t.Fatal(err)
	}
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func getBase(t *testing.T, s *Store, ref string) *baseImage {
	t.Helper()
	b, err := s.base(t.Context(), ref, func(l string) { t.Log(l) })
	if err != nil {
		t.Fatal(err)
	}
	if img, err := layoutImage(b.dir); err != nil {
		t.Error(err)
	} else if d, err := img.Digest(); err != nil || d.String() != b.Digest {
		t.Errorf("the layout holds %s, its record says %s; %v", d, b.Digest, err)
	}
	return b
}

// A tag that was moved is pulled again by the next walk and not by this one; who
// still builds from what it was has it.
func TestBaseFollowsItsTag(t *testing.T) {
	const ref = "registry.example.com/base:1"
	dir := t.TempDir()
	s := tempStore(t, dir)
	h := everywhere(s)
	old := pushTo(t, h, ref, imageOf(t, layerOf(t, &tar.Header{Name: "january"})))
	first := getBase(t, s, ref)
	if digest, _, why := s.BaseDigest(ref); digest != old {
		t.Fatalf("%s, %s; want %s", digest, why, old)
	}
	late := pushTo(t, h, ref, imageOf(t, layerOf(t, &tar.Header{Name: "june"})))
	s.Close()

	s = tempStore(t, dir)
	s.registry.client = handlerTransport{h}
	got := getBase(t, s, ref)
	if digest, _, _ := s.BaseDigest(ref); got.Asked != late || digest != late {
		t.Errorf("the next walk starts from %s and would pin %s; want %s", got.Asked, digest, late)
	}
	if _, err := os.Stat(filepath.Join(first.dir, "blobs", "sha256", strings.TrimPrefix(old, "sha256:"))); err != nil {
		t.Errorf("another's base is gone: %v", err)
	}
	pushTo(t, h, ref, imageOf(t, layerOf(t, &tar.Header{Name: "july"})))
	if again := getBase(t, s, ref); again.Asked != late {
		t.Error("the base changed in the middle of a walk")
	}
	s.Close()

	s = tempStore(t, dir)
	s.registry.offline = true
	if b := getBase(t, s, ref); b.Asked != late {
		t.Error("without a registry the base is not what it was")
	}
}

// A registry that is silent costs a moment, once, and nothing else.
func TestBaseOfSilentRegistry(t *testing.T) {
	dir := t.TempDir()
	s := tempStore(t, dir)
	h := everywhere(s)
	for _, ref := range []string{"registry.example.com/base:1", "registry.example.com/other:1"} {
		pushTo(t, h, ref, imageOf(t, layerOf(t, &tar.Header{Name: ref})))
		getBase(t, s, ref)
	}
	s.Close()
	s = tempStore(t, dir)
	asked := 0
	s.registry.client = handlerTransport{http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked++
		<-r.Context().Done()
	})}
	begun := time.Now()
	getBase(t, s, "registry.example.com/base:1")
	getBase(t, s, "registry.example.com/other:1")
	getBase(t, s, "registry.example.com/base:1")
	if asked != 1 {
		t.Errorf("asked %d times, in %s", asked, time.Since(begun))
	}
}

// What was made from packages gives way to the real image, and is no answer where
// the registry says that there is no such image.
func TestBaseMadeFromPackages(t *testing.T) {
	const ref = "debian:trixie-slim"
	s := tempStore(t, t.TempDir())
	h := everywhere(s)
	made := func(ref string) {
		r, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "root.tar")
		if err := os.WriteFile(file, make([]byte, 1024), 0o600); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(s.o.Dir, "bases", fileName(r.Name()))
		rec := baseRecord{Ref: ref, Note: ref + " made from Debian's packages"}
		if rec.Digest, err = layoutOfTar(file, dir); err != nil {
			t.Fatal(err)
		}
		if err := writeJSON(filepath.Join(dir, baseRecordFile), rec); err != nil {
			t.Fatal(err)
		}
	}
	made(ref)
	want := pushTo(t, h, ref, imageOf(t, layerOf(t, &tar.Header{Name: "real"})))
	if b := getBase(t, s, ref); b.Asked != want || b.Note != "" {
		t.Errorf("got %+v; want %s", b.baseRecord, want)
	}
	made("debian:trixie-20990101")
	for _, ref := range []string{"debian:trixie-20990101", "debian:bookworm-20990101"} {
		b, err := s.base(t.Context(), ref, func(l string) { t.Log(l) })
		if err == nil || !strings.Contains(err.Error(), "index.docker.io refuses") {
			t.Errorf("%s: got %+v, %v", ref, b, err)
		}
	}
}
