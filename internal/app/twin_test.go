package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func twins(a *App) []string {
	var out []string
	for _, t := range a.Twins() {
		out = append(out, t.Later.Pos(nil).String()+" after "+t.Earlier.Pos(nil).String())
	}
	return out
}

// Of three with one name each is told with the one before it; another namespace,
// kind or a name that the cluster makes is none, and a patch is none either.
func TestTwins(t *testing.T) {
	const head, spec = "apiVersion: v1\nkind: Pod\nmetadata: ", "\nspec: {containers: [{name: web, image: web}]}\n"
	a, err := LoadFiles("shop", map[string][]byte{
		"a.yaml": []byte(head + "{name: web}" + spec + "---\n" + head + "{name: web, namespace: default}" + spec),
		"b.yaml": []byte(head + "{name: web}" + spec),
		"c.yaml": []byte(head + "{name: web, namespace: other}" + spec),
		"d.yaml": []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: web}]}}}\n"),
		"e.yaml": []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {hostUsers: false}}}\n"),
		"f.yaml": []byte(head + "{generateName: web-}" + spec + "---\n" + head + "{generateName: web-}" + spec),
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a.yaml:6 after a.yaml:1", "b.yaml:1 after a.yaml:6"}, twins(a)); diff != "" {
		t.Error(diff)
	}
	want := "pod/web stands here again, after a.yaml:1: one namespace holds one of that name, the last that is applied"
	if got := a.Twins()[0].Say(Pos.String); got != want {
		t.Errorf("got %q", got)
	}
}

// An overlay that is rendered has its base's objects once.
func TestOverlayIsNoTwin(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"base/web.yaml":                    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: web}]}}}\n",
		"base/kustomization.yaml":          "resources: [web.yaml]\n",
		"overlays/prod/web.yaml":           "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, image: web:2}]}}}\n",
		"overlays/prod/kustomization.yaml": "resources: [../../base]\npatches: [{path: web.yaml}]\n",
	} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	a, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if a.Rendered == nil || len(a.Workloads) != 1 || len(a.Twins()) != 0 {
		t.Errorf("rendered %v, %d workloads, twins %v", a.Rendered != nil, len(a.Workloads), twins(a))
	}
}
