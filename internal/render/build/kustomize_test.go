package build_test

import (
	"strings"
	"testing"

	"road/internal/render"
	"road/internal/render/build"
)

// TestKustomize says of every object where it comes from.
func TestKustomize(t *testing.T) {
	files := map[string][]byte{
		"base/kustomization.yaml": []byte("resources: [web.yaml]\n"),
		"base/web.yaml":           []byte("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"),
		"prod/kustomization.yaml": []byte("namePrefix: prod-\nresources: [../base]\nconfigMapGenerator:\n- name: made\n  literals: [a=b]\n"),
	}
	r, err := build.Render(render.NewTree(files, nil), render.Source{Dir: "prod"})
	if err != nil {
		t.Fatal(err)
	}
	from := map[string]string{}
	for _, o := range r.Objects {
		from[o.Kind+"/"+strings.SplitAfter(o.Name, "-")[1]] = o.From
		if strings.Contains(string(o.Text), "config.kubernetes.io") {
			t.Errorf("notes of the library are left:\n%s", o.Text)
		}
	}
	if len(r.Objects) != 2 || from["Service/web"] != "base/web.yaml" || from["ConfigMap/made-"] != "" {
		t.Errorf("from: %v", from)
	}
	if got := strings.Join(r.Tops, " "); got != "prod/kustomization.yaml base/kustomization.yaml" {
		t.Errorf("tops: %s", got)
	}
}

// TestKustomizeIsClosed refuses what would be read from elsewhere.
func TestKustomizeIsClosed(t *testing.T) {
	for text, want := range map[string]string{
		"resources: [https://example.com/base]":                        "lies in the network",
		"resources: [github.com/a/b]":                                  "lies in the network",
		"resources: [../../base]":                                      "leads out of the folder",
		"resources: [/etc]":                                            "leads out of the folder",
		"resources: [none.yaml]":                                       "is not there",
		"helmCharts: [{name: a}]":                                      "needs helm to be run",
		"configMapGenerator: [{name: a, files: [b=../../etc/passwd]}]": "leads out of the folder",
		"generators: [../none.yaml]":                                   "is not there",
	} {
		files := map[string][]byte{"prod/kustomization.yaml": []byte(text + "\n")}
		_, err := build.Render(render.NewTree(files, nil), render.Source{Dir: "prod"})
		if err == nil || !strings.HasPrefix(err.Error(), "prod/kustomization.yaml:1: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// TestPostRender has a chart's post-renderer change what the chart gives.
func TestPostRender(t *testing.T) {
	files := chart("post-render/kustomization.yaml", "resources: [rendered.yaml]\ncommonAnnotations: {a: b}\n")
	r, err := helm(files, render.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Objects) != 1 || !strings.Contains(string(r.Objects[0].Text), "a: b") || r.Objects[0].Template != "templates/config.yaml" {
		t.Errorf("got %+v", r.Objects)
	}
}
