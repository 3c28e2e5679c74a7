package oci

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// TestSandboxArchive runs an image that PATH holds as a docker save file.
func TestSandboxArchive(t *testing.T) {
	e := engineFor(t).(*engine)
	program, err := os.ReadFile(e.o.Probe)
	if err != nil {
		t.Fatal(err)
	}
	// The image is one that was built here, without the Dockerfile.
	built := inline(t, map[string]string{"pod.yaml": strings.NewReplacer("IMAGE", "web:1", "COMMAND", "/bin/program").Replace(inlinePod),
		"program": string(program), "Dockerfile": "FROM scratch\nCOPY --chmod=755 program /bin/program\n", "road.yaml": "apiVersion: road/v1\nimages: {web: .}\n"})
	if _, err := e.Prepare(t.Context(), built, nil); err != nil {
		t.Fatal(err)
	}
	img, err := e.store.OCI(e.prepared[built]["web:1"])
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	save(t, filepath.Join(dir, "web.tar"), img)
	for name, text := range map[string]string{"pod.yaml": strings.NewReplacer("IMAGE", "web:1", "COMMAND", "/bin/program").Replace(inlinePod),
		"road.yaml": "apiVersion: road/v1\nimages: {web: {archive: web.tar}}\n"} {
		write(t, dir, name, text)
	}
	a := load(t, dir)
	deploy(t, a)
	facts, err := e.Prepare(t.Context(), a, nil)
	if err != nil || facts["web:1"].Note != "web:1 taken from web.tar" {
		t.Errorf("%+v, %v", facts, err)
	}
}

// save writes an image as docker save does, layer by layer.
func save(t *testing.T, file string, img v1.Image) {
	t.Helper()
	ls, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	out, err := mutate.AppendLayers(empty.Image, ls...)
	if err != nil {
		t.Fatal(err)
	}
	tag, err := name.NewTag("web:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(file, tag, out); err != nil {
		t.Fatal(err)
	}
}
