package image

import (
	"archive/tar"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"road/internal/sandbox/sandboxtest"

	"golang.org/x/sys/unix"
)

// dirs makes an image of two directories as overlay has them: the upper takes a
// file and the content of a folder away.
func dirs(t *testing.T, s *Store) *Image {
	t.Helper()
	low, up := filepath.Join(t.TempDir(), "low"), filepath.Join(t.TempDir(), "up")
	for _, f := range []string{low + "/gone", low + "/stays", low + "/folder/old", up + "/folder/new", up + "/bin/app"} {
		if err := os.MkdirAll(filepath.Dir(f), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f, []byte(f), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mknod(filepath.Join(up, "gone"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Lsetxattr(filepath.Join(up, "folder"), "trusted.overlay.opaque", []byte("y"), 0); err != nil {
		t.Fatal(err)
	}
	img := &Image{Ref: "shop/web:1", Lowers: []string{up, low}}
	img.Config.Cmd, img.Config.Env, img.Config.User = []string{"/bin/app"}, []string{"PATH=/bin"}, "7"
	return img
}

// TestSandboxHub pushes an image of directories to the registry in process, gets
// it back by tag and by digest, moves the tag, and runs what the digest says.
func TestSandboxHub(t *testing.T) {
	sandboxtest.Need(t)
	ctx := context.Background()
	s := tempStore(t, t.TempDir())
	h := s.NewHub()
	img := dirs(t, s)
	digest, err := s.Publish(ctx, h, img)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Publish(ctx, h, img)
	if err != nil || again != digest {
		t.Errorf("published again: %s, %v", again, err)
	}
	if _, ok, err := h.Image(ctx, img.Ref); ok || err != nil {
		t.Errorf("a tag moved: %v, %v", ok, err)
	}
	first, ok, err := h.Image(ctx, img.Ref+"@"+digest)
	if !ok || err != nil {
		t.Fatalf("by digest: %v, %v", ok, err)
	}
	evil, err := Implant{Program: []byte("evil"), Env: []string{"X=y"}, Command: "app"}.Put(first)
	if err != nil {
		t.Fatal(err)
	}
	moved, err := h.Push(ctx, img.Ref, evil)
	if err != nil || moved == digest {
		t.Fatalf("the tag was not moved: %s, %v", moved, err)
	}
	byTag := fetch(t, s, h, img.Ref)
	if byTag.Digest != moved || !slices.Equal(byTag.Config.Entrypoint, []string{ImplantPath}) || byTag.Config.Cmd != nil || byTag.Config.User != "7" ||
		!slices.Contains(byTag.Config.Env, "PATH=/.implant:/bin") || !slices.Contains(byTag.Config.Env, "X=y") {
		t.Errorf("by tag: %+v", byTag)
	}
	for name, want := range map[string]string{ImplantPath: "evil", "/.implant/app": "evil", "/stays": "", "/folder/new": ""} {
		b, err := layers(byTag.Lowers).read(name, 100)
		if err != nil || want != "" && string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	byDigest := fetch(t, s, h, img.Ref+"@"+digest)
	if byDigest.Digest != digest || !slices.Equal(byDigest.Lowers, img.Lowers) || !slices.Equal(byDigest.Config.Cmd, img.Config.Cmd) {
		t.Errorf("by digest: %+v", byDigest)
	}
	if _, ok, err := h.Image(ctx, "elsewhere.example/shop/web:1"); ok || err != nil {
		t.Errorf("another registry's image: %v, %v", ok, err)
	}

	// Another process finds it by its digest alone.
	later, err := Open(Options{Dir: s.o.Dir, Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	defer later.Close()
	pulled, err := later.Pull(ctx, img.Ref+"@"+digest, nil)
	if err != nil || !slices.Equal(pulled.Lowers, img.Lowers) || pulled.Digest != digest || pulled.Facts.User != "7" {
		t.Errorf("pulled by digest: %+v, %v", pulled, err)
	}
	if err := os.WriteFile(filepath.Join(img.Lowers[0], "more"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := later.Pull(ctx, img.Ref+"@"+digest, nil); err == nil || !strings.Contains(err.Error(), "cannot get image") {
		t.Errorf("its content changed, and yet: %v", err)
	}
}

// fetch gets an image from the registry in process, as a node does.
func fetch(t *testing.T, s *Store, h *Hub, ref string) *Image {
	t.Helper()
	o, ok, err := h.Image(context.Background(), ref)
	if !ok || err != nil {
		t.Fatalf("%s: %v, %v", ref, ok, err)
	}
	img, err := s.FromRegistry(context.Background(), ref, o)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestSandboxTarIsALayer unpacks what an image's layers become, as any node that
// has none of them would.
func TestSandboxTarIsALayer(t *testing.T) {
	sandboxtest.Need(t)
	s := tempStore(t, t.TempDir())
	o, err := s.OCI(dirs(t, s))
	if err != nil {
		t.Fatal(err)
	}
	ls, err := o.Layers()
	if err != nil || len(ls) != 2 {
		t.Fatalf("%d layers, %v", len(ls), err)
	}
	r, err := ls[1].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var names []string
	for tr := tar.NewReader(r); ; {
		hdr, err := tr.Next()
		if err != nil {
			break
		}
		names = append(names, hdr.Name)
	}
	if want := []string{"bin/", "bin/app", "folder/", "folder/.wh..wh..opq", "folder/new", ".wh.gone"}; !slices.Equal(names, want) {
		t.Errorf("the upper layer holds %q, want %q", names, want)
	}
	other := tempStore(t, t.TempDir()) // knows none of the directories
	img, err := other.FromRegistry(context.Background(), "web:1", o)
	if err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"/stays": true, "/gone": false, "/folder/new": true, "/folder/old": false, "/bin/app": true} {
		if _, err := layers(img.Lowers).find(name); (err == nil) != there {
			t.Errorf("%s: %v, want it there: %v", name, err, there)
		}
	}
}
