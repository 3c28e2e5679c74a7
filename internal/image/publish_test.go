package image

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"road/internal/sandbox/sandboxtest"

	"github.com/google/go-containerregistry/pkg/registry"
)

// TestSandboxPublishTo pushes an image to a registry, which calls it by the digest
// that is read back, and gets it from there by that digest on another machine.
func TestSandboxPublishTo(t *testing.T) {
	sandboxtest.Need(t)
	addr, _ := testRegistry(t)
	s := tempStore(t, t.TempDir())
	img := dirs(t, s)
	ref, digest, err := s.PublishTo(t.Context(), addr+"/team", img, nil)
	if err != nil || ref != addr+"/team/shop/web:1" || !strings.HasPrefix(digest, "sha256:") {
		t.Fatalf("%s, %s, %v", ref, digest, err)
	}
	img.Ref = ref // it has its place in that registry by now
	again, same, err := s.PublishTo(t.Context(), addr+"/team", img, nil)
	if err != nil || again != ref || same != digest {
		t.Errorf("%s, %s, %v", again, same, err)
	}
	s.registry.client = handlerTransport{registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	img.Ref = "docker.io/me/web:1" // which references call index.docker.io
	if hub, _, err := s.PublishTo(t.Context(), "docker.io/me", img, nil); err != nil || hub != "docker.io/me/web:1" {
		t.Errorf("%s, %v", hub, err)
	}
	other := tempStore(t, t.TempDir())
	got, err := other.Pull(t.Context(), ref+"@"+digest, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := layers(got.Lowers).read("/bin/app", 1000); err != nil || len(b) == 0 || got.Digest != digest || !slices.Equal(got.Config.Cmd, img.Config.Cmd) {
		t.Errorf("%q, %v, %+v", b, err, got)
	}
	if _, err := layers(got.Lowers).find("/gone"); err == nil {
		t.Error("what the upper layer takes away is there")
	}
}

// TestSandboxPublishRefused has a registry that takes nothing give no digest.
func TestSandboxPublishRefused(t *testing.T) {
	sandboxtest.Need(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }))
	defer srv.Close()
	s := tempStore(t, t.TempDir())
	_, digest, err := s.PublishTo(t.Context(), strings.TrimPrefix(srv.URL, "http://"), dirs(t, s), nil)
	if err == nil || digest != "" || !strings.Contains(err.Error(), "cannot push") {
		t.Errorf("%q, %v", digest, err)
	}
}

// TestSandboxBaseDigest knows a base by what its registry called it, finds it
// again by that without asking, and builds from it.
func TestSandboxBaseDigest(t *testing.T) {
	sandboxtest.Need(t, "runc")
	addr, srv := testRegistry(t)
	ref := addr + "/base:1"
	img := odd(t)
	push(t, ref, img)
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := tempStore(t, t.TempDir())
	if digest, _, why := s.BaseDigest(ref); digest != "" || why == "" {
		t.Errorf("before it was needed: %q, %q", digest, why)
	}
	build := func(from string) {
		t.Helper()
		root, b := writeBuild(t, "FROM "+from+"\nCOPY file /file\n", map[string]string{"file": "content"})
		out, err := s.Build(t.Context(), "web:1", root, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := layers(out.Lowers).read("/file", 100); err != nil || string(got) != "content" {
			t.Errorf("%q, %v", got, err)
		}
	}
	build(ref)
	digest, registry, why := s.BaseDigest(ref)
	if digest != want.String() || registry != addr || why != "" {
		t.Fatalf("%s, %s, %q; want %s", digest, registry, why, want)
	}
	srv.Close() // nobody is asked for what is pinned and here
	build(ref + "@" + digest)
	if _, err := s.base(t.Context(), addr+"/base@sha256:"+strings.Repeat("0", 64), func(string) {}); err == nil {
		t.Error("a base of another digest was found")
	}
}

// An image whose name begins with the registry already stays where it is, by
// whichever of its names Docker's registry goes.
func TestCanonicalRegistry(t *testing.T) {
	for host, want := range map[string]string{"docker.io/me": "index.docker.io/me", "docker.io": "index.docker.io", "localhost:5000/a/b": "localhost:5000/a/b", "ghcr.io": "ghcr.io"} {
		if got := canonical(host); got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}
