package build_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"road/internal/render"
	"road/internal/render/build"
)

// chart is a small chart with files more or others.
func chart(more ...string) map[string][]byte {
	files := map[string][]byte{
		"Chart.yaml":            []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n"),
		"values.yaml":           []byte("replicas: 2\npassword: hunter2\n"),
		"templates/config.yaml": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {replicas: \"{{ .Values.replicas }}\", kube: \"{{ .Capabilities.KubeVersion.Version }}\"}\n"),
	}
	for i := 0; i < len(more); i += 2 {
		files[more[i]] = []byte(more[i+1])
	}
	return files
}

func helm(files map[string][]byte, s render.Source) (*render.Result, error) {
	s.Dir, s.Chart = ".", true
	return build.Render(render.NewTree(files, nil), s)
}

// TestSchema holds values against schemas as helm does, and asks nobody for them.
func TestSchema(t *testing.T) {
	asked := 0
	web := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer web.Close()
	const draft = `"$schema": "http://json-schema.org/draft-07/schema#", `
	const sub = "apiVersion: v2\nname: db\nversion: 1.0.0\n"
	tests := []struct {
		name  string
		files map[string][]byte
		want  string // in the error
		notes int
	}{
		{"fits", chart("values.schema.json", `{`+draft+`"properties": {"replicas": {"type": "integer"}}}`), "", 0},
		{"does not fit", chart("values.schema.json", `{`+draft+`"properties": {"replicas": {"type": "string"}}}`), "values.schema.json:1: the values do not fit the schema: replicas: got number, want string", 0},
		{"keeps the value to itself", chart("values.schema.json", `{`+draft+`"properties": {"password": {"pattern": "^[0-9]+$"}}}`), "password: does not match the pattern ^[0-9]+$", 0},
		{"more than is allowed", chart("values.schema.json", `{`+draft+`"additionalProperties": false}`), "additional properties", 0},
		{"of a subchart", chart("charts/db/Chart.yaml", sub, "charts/db/values.yaml", "size: big\n", "charts/db/values.schema.json", `{`+draft+`"properties": {"size": {"type": "integer"}}}`),
			"charts/db/values.schema.json:1: the values do not fit the schema: size: got string, want integer", 0},
		{"names the network", chart("values.schema.json", `{`+draft+`"properties": {"password": {"$ref": "`+web.URL+`/a.json"}, "replicas": {"type": "string"}}}`), "replicas: got number", 0},
		{"names the network and fits", chart("values.schema.json", `{`+draft+`"properties": {"password": {"$ref": "`+web.URL+`/a.json"}}}`), "", 1},
		{"of a subchart names the network", chart("charts/db/Chart.yaml", sub, "charts/db/values.yaml", "size: big\n", "charts/db/values.schema.json", `{"properties": {"size": {"$ref": "`+web.URL+`/a.json#/definitions/size"}}}`), "", 1},
		{"names a file of the disk", chart("values.schema.json", `{"$ref": "file:///etc/passwd"}`), "not a schema", 0},
		{"is no JSON", chart("values.schema.json", `{`), "not a schema", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := helm(tt.files, render.Source{})
			if tt.want == "" {
				if err != nil || len(r.Notes) != tt.notes {
					t.Fatalf("error %v, notes %v", err, r)
				}
				return
			}
			if e := (*render.Error)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || e.Hint == "" {
				t.Errorf("got %v, want %s, with a hint", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a value is told: %v", err)
			}
		})
	}
	if asked > 0 {
		t.Errorf("the network was asked %d times", asked)
	}
	if _, err := helm(chart("values.schema.json", `{"properties": {"replicas": {"type": "string"}}}`), render.Source{Probing: true}); err != nil {
		t.Errorf("probing: %v", err)
	}
}

// TestCluster tells the chart of the cluster that it is meant for.
func TestCluster(t *testing.T) {
	for minor, want := range map[int]string{0: "v1.37.0", 28: "v1.28.0"} {
		r, err := helm(chart(), render.Source{Minor: minor})
		if err != nil {
			t.Fatal(err)
		}
		if text := string(r.Stream()); !strings.Contains(text, want) {
			t.Errorf("minor %d: want %s:\n%s", minor, want, text)
		}
	}
	narrow := chart("Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\nkubeVersion: '>=1.25.0-0 <1.30.0-0'\n")
	if _, err := helm(narrow, render.Source{Minor: 28}); err != nil {
		t.Error(err)
	}
	_, err := helm(narrow, render.Source{})
	if err == nil || err.Error() != "Chart.yaml:4: the chart is for Kubernetes >=1.25.0-0 <1.30.0-0, and the target is 1.37" {
		t.Errorf("got %v", err)
	}
}

// TestServeIsSilent has a chart whose values do not go together, of which helm's
// library logs the value.
func TestServeIsSilent(t *testing.T) {
	var logged bytes.Buffer
	was := slog.Default()
	log.SetOutput(&logged)
	defer func() { slog.SetDefault(was); log.SetOutput(os.Stderr) }()
	files := chart("values.yaml", "replicas: 2\ndb: {login: {password: hunter2}}\n", "more.yaml", "db: {login: none}\n")
	q, err := json.Marshal(render.Request{Files: files, Source: render.Source{Dir: ".", Chart: true, Values: []string{"more.yaml"}}})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := build.Serve(bytes.NewReader(append(q, '\n')), &out); err != nil {
		t.Fatal(err)
	}
	var a render.Answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil || a.Result == nil || len(a.Result.Objects) != 1 {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	if logged.Len() > 0 {
		t.Errorf("logged: %s", logged.String())
	}
}

// TestList takes lists apart, as the post-renderer does, and nothing else that has
// items.
func TestList(t *testing.T) {
	const list = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a}}\n- {apiVersion: v1, kind: Secret, metadata: {name: b, namespace: c}}\n"
	const allow = "apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: d}\nitems: [{host: e}]\n"
	const pods = "apiVersion: v1\nkind: PodList\nitems: []\n"
	const menu = "apiVersion: example.com/v1\nkind: Menu\nmetadata: {name: f}\nitems: {first: soup}\n"
	r, err := helm(chart("templates/x.yaml", list+"---\n"+allow+"---\n"+pods+"---\n"+menu), render.Source{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range r.Objects {
		got = append(got, o.ID())
	}
	want := "v1 ConfigMap /web, v1 Pod /a, v1 Secret c/b, example.com/v1 AllowList /d, example.com/v1 Menu /f"
	if g := strings.Join(got, ", "); g != want {
		t.Errorf("got %s\nwant %s", g, want)
	}
}

// TestApart takes a namespace beside the post-renderer for a part of the application,
// once: one that the kustomization names is built with it.
func TestApart(t *testing.T) {
	const space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
	const more = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n"
	const top = "resources: [rendered.yaml]\n"
	for name, files := range map[string]map[string][]byte{
		"alone":           chart("post-render/namespace.yaml", space),
		"beside":          chart("post-render/namespace.yaml", space, "post-render/kustomization.yaml", top),
		"named":           chart("post-render/namespace.yaml", space, "post-render/kustomization.yaml", "resources: [rendered.yaml, namespace.yaml]\n"),
		"what is no part": chart("post-render/namespace.yaml", space, "post-render/old.yaml", space+more, "post-render/kustomization.yaml", top),
	} {
		r, err := helm(files, render.Source{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(r.Objects) != 2 || r.Objects[0].Kind+r.Objects[1].Kind != "ConfigMapNamespace" && name != "named" {
			t.Errorf("%s: %v", name, r.Objects)
			continue
		}
		for _, o := range r.Objects {
			if o.Kind == "Namespace" && (o.From != "post-render/namespace.yaml" || o.Template != "") {
				t.Errorf("%s: it is from %q, %q", name, o.From, o.Template)
			}
		}
	}
}

// TestHooks leaves out what Helm runs at times of its own, and tells of all but
// tests.
func TestHooks(t *testing.T) {
	job := func(event string) string {
		return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, annotations: {helm.sh/hook: " + event + "}}\n"
	}
	r, err := helm(chart("templates/job.yaml", job("pre-install"), "templates/test.yaml", job("test")), render.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Objects) != 1 || len(r.Hooks) != 1 || r.Hooks[0] != "templates/job.yaml" {
		t.Errorf("objects %v, hooks %v", r.Objects, r.Hooks)
	}
}

// TestSteady gives what a chart makes up the same in every rendering.
func TestSteady(t *testing.T) {
	files := chart("templates/secret.yaml", "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: {{ randAlphaNum 16 }}, b: {{ randAlphaNum 16 }}}\n")
	first, err1 := helm(files, render.Source{})
	second, err2 := helm(files, render.Source{})
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first.Stream(), second.Stream()) {
		t.Errorf("%s\nis not\n%s", first.Stream(), second.Stream())
	}
	tree, err := first.Objects[1].Tree()
	if data, _ := tree["stringData"].(map[string]any); err != nil || data["a"] == data["b"] {
		t.Errorf("two calls give the same: %v", data)
	}
}
