package app

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: web}]}\n"

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLoadReadsOnlyWhatIsInside(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	put(t, outside, map[string]string{"theirs.yaml": pod, "Dockerfile": "FROM theirs"})
	put(t, dir, map[string]string{
		"k8s/pod.yaml": pod, "web/Dockerfile": "FROM a", "README.md": pod,
		".git/x.yaml": pod, "vendor/x.yaml": pod, "a/node_modules/x.yaml": pod,
		"binary.yaml": "apiVersion: v1\x00", "empty.yaml": "",
	})
	os.Symlink(outside, filepath.Join(dir, "folder"))
	os.Symlink(filepath.Join(outside, "theirs.yaml"), filepath.Join(dir, "link.yaml"))
	os.Symlink("../k8s/pod.yaml", filepath.Join(dir, "web", "again.yaml"))
	os.Symlink("nowhere", filepath.Join(dir, "dangling.yaml"))
	os.Symlink("loop.yaml", filepath.Join(dir, "loop.yaml"))
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o644); err != nil {
		t.Fatal(err)
	}
	big, err := os.Create(filepath.Join(dir, "big.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	big.Truncate(maxFile + 1)
	big.Close()

	start := time.Now()
	a, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("took %v", took)
	}
	var files, problems []string
	for name := range a.Files() {
		files = append(files, name)
	}
	slices.Sort(files)
	for _, p := range a.Problems {
		problems = append(problems, p.Error())
	}
	if d := cmp.Diff([]string{"k8s/pod.yaml", "web/Dockerfile"}, files); d != "" {
		t.Errorf("files: -want +got:\n%s", d)
	}
	if d := cmp.Diff([]string{
		"big.yaml: larger than 100 MB, passed by",
		"link.yaml: a link that leads out of the folder is not followed",
		"loop.yaml: a link that leads out of the folder is not followed",
	}, problems); d != "" {
		t.Errorf("problems: -want +got:\n%s", d)
	}
	if a.Root != dir || a.Name != filepath.Base(dir) || a.Seen == nil || a.Config == nil {
		t.Errorf("root %s, name %s, seen %v, config %v", a.Root, a.Name, a.Seen, a.Config)
	}
}

func TestLoadOneFile(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"pod.txt": pod, "other.yaml": pod, "broken.yaml": "a: [", "road.yaml": "wrong: 1"})
	a, err := Load(filepath.Join(dir, "pod.txt"))
	if err != nil || len(a.Workloads) != 1 || a.Workloads[0].File != "pod.txt" || a.Root != dir {
		t.Errorf("%s", dump(a, err))
	}
	a, err = Load(filepath.Join(dir, "broken.yaml"))
	if err != nil || len(a.Problems) != 1 || a.Problems[0].Pos.String() != "broken.yaml:1" {
		t.Errorf("%s", dump(a, err))
	}
	for _, name := range []string{"missing", "missing.yaml"} {
		if _, err := Load(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestLoadReadsDockerfilesThatRoadYAMLNames(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{
		"pod.yaml": pod, "build/web.txt": "FROM a",
		"road.yaml": "apiVersion: road/v1\nimages: {web: {context: ., dockerfile: build/web.txt}}\n",
	})
	a, err := Load(dir)
	if err != nil || a.Images[0].Build == nil || a.Images[0].Build.Dockerfile.File != "build/web.txt" || a.Images[0].Build.Context != "." {
		t.Errorf("%s", dump(a, err))
	}
}

func TestFilesMakeTheSameApplication(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{
		"k8s/kustomization.yaml": "patches: [{path: p.yaml}]\n", "k8s/p.yaml": pod, "k8s/web.yaml": strings.ReplaceAll(pod, "web", "shop"),
		"chart/Chart.yaml": "name: c", "chart/templates/t.yaml": pod + "# {{ x }}\n",
		"shop/Dockerfile": "FROM a\nUSER 1", "broken/Dockerfile": "NO",
		"road.yaml": "apiVersion: road/v1\nmanifests: [k8s, chart]\n", "left-out.yaml": pod,
	})
	a, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := a.Files()
	b, err := LoadFiles(a.Name, files)
	if d := cmp.Diff(strings.Split(dump(a, nil), "\n"), strings.Split(dump(b, err), "\n")); d != "" {
		t.Errorf("-disk +memory:\n%s", d)
	}
	if _, ok := files["left-out.yaml"]; ok || !bytes.Equal(files["k8s/p.yaml"], []byte(pod)) || files["broken/Dockerfile"] == nil {
		t.Errorf("files: %q", files)
	}
}

// Repositories hold data in JSON and YAML too, much of it: it does not stay in
// memory.
func TestReadTreeKeepsNoData(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, map[string]string{"pod.yaml": pod, "data.json": "[1]", "a/data.yml": "a: 1", "chart/Chart.yaml": "name: c",
		"k/kustomization.yaml": "patches: []", "road.yaml": "apiVersion: road/v1", "Dockerfile": "FROM a"})
	tree, err := readTree(dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	got := slices.Sorted(maps.Keys(tree.files))
	if want := []string{"Dockerfile", "chart/Chart.yaml", "k/kustomization.yaml", "pod.yaml", "road.yaml"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
