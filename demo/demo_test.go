package demo

import (
	"archive/zip"
	"bytes"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
)

var update = flag.Bool("update", false, "write demo.zip")

// parts are the files and folders of the application.
var parts = []string{"README.md", "app", "manifests", "redis", "road.yaml"}

// skipped are made by building or belong to the repository.
var skipped = map[string]bool{"app/road-to-secure-kubernetes": true, "app/.gitignore": true}

func TestArchive(t *testing.T) {
	want := collect(t, os.DirFS("."), parts...)
	if len(want) < 20 {
		t.Fatalf("only %d files found", len(want))
	}
	if *update {
		if err := os.WriteFile("demo.zip", pack(t, want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got := collect(t, FS(), ".")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("demo.zip is stale (- as it lies here, + in the archive): run go generate ./demo\n%s", diff)
	}
}

// collect reads all files below names.
func collect(t *testing.T, files fs.FS, names ...string) map[string]string {
	t.Helper()
	content := map[string]string{}
	for _, name := range names {
		err := fs.WalkDir(files, name, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || skipped[name] {
				return err
			}
			b, err := fs.ReadFile(files, name)
			content[name] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return content
}

// pack makes the same archive of the same files, whatever their times and modes.
func pack(t *testing.T, content map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(content)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(content[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestExtract(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if err := Extract(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app/go.mod", "app/vendor/modules.txt", "redis/Dockerfile", "road.yaml"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode()&0o444 == 0 || info.Size() == 0 {
			t.Errorf("%s: mode %v, %d bytes", name, info.Mode(), info.Size())
		}
	}
	if err := Extract(dir); err == nil {
		t.Error("a second Extract overwrote the first")
	}
}

// Every cluster takes the manifests: no unknown field, nothing twice.
func TestManifests(t *testing.T) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{appsv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	var kinds []string
	for name, content := range collect(t, os.DirFS("."), "manifests") {
		object, kind, err := strict.Decode([]byte(content), nil, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		kinds = append(kinds, kind.Kind)
		if d, ok := object.(*appsv1.Deployment); ok && *d.Spec.Replicas != 3 {
			t.Errorf("%s: %d replicas, want 3", name, *d.Spec.Replicas)
		}
		// At 1.0 nothing is hardened: that is what the road starts from.
		if strings.Contains(content, "securityContext") {
			t.Errorf("%s is hardened already", name)
		}
	}
	if len(kinds) != 6 {
		t.Errorf("got %d objects: %v, want 6", len(kinds), kinds)
	}
}
