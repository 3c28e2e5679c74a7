package walk

import (
	"strings"
	"testing"

	"road/internal/app"
)

const shop = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: registry.example.com:5000/shop/web:1
        env:
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: db, key: "pass word"}}}
        - {name: DATABASE, value: "postgresql://shop:x@db.example.com/shop"}
        - {name: SELF, value: "http://web:80/"}
        - {name: QUEUE_HOST, value: queue.infra}
        - {name: BIND, value: "0.0.0.0:3000"}
        - {name: MODE, value: fast}
        ports: [{name: http, containerPort: 3000}]
        readinessProbe: {httpGet: {path: "ready?full=yes", port: http}}
      - {name: cache, image: "redis:8"}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}, {name: other, port: 81}]}
`

// TestOutline writes a road.yaml that is right as it is, says the same as having
// none, and names what cannot be known.
func TestOutline(t *testing.T) {
	files := map[string][]byte{"k8s/shop.yaml": []byte(shop), "web/Dockerfile": []byte("FROM scratch\n"), "tool/Dockerfile": []byte("FROM scratch\n")}
	a, err := app.LoadFiles("shop", files)
	if err != nil {
		t.Fatal(err)
	}
	text := string(Outline(a))
	files["road.yaml"] = []byte(text)
	b, err := app.LoadFiles("shop", files)
	if err != nil || len(b.Problems) > 0 {
		t.Fatalf("%v, %v\n%s", err, b.Problems, text)
	}
	for i, img := range a.Images {
		got := b.Images[i]
		if got.Ref != img.Ref || (got.Build == nil) != (img.Build == nil) {
			t.Errorf("%+v is now %+v", img, got)
		}
		if img.Build != nil && (got.Build.Context != img.Build.Context || got.Build.Dockerfile.File != img.Build.Dockerfile.File || got.Build.Inferred != "") {
			t.Errorf("%+v is now %+v", img.Build, got.Build)
		}
	}
	if c := b.Config; len(c.Checks) != 2 || c.Checks[0].HTTP == nil || c.Checks[0].HTTP.Path != "/ready?full=yes" || c.Checks[0].HTTP.Port != 80 ||
		c.Checks[1].TCP == nil || c.Checks[1].TCP.Port != 81 || c.Foothold != (app.Foothold{}) || c.Secrets["db"]["pass word"] != app.Placeholder ||
		len(c.Manifests) != 1 || c.Manifests[0] != "k8s" {
		t.Errorf("%+v\n%s", c, text)
	}
	for _, want := range []string{"# redis:8 is pulled", "# tool/Dockerfile makes no image", "# foothold:", "# web/Dockerfile, by its name",
		"#   db.example.com: {image: NAME, port: 5432} # for k8s/shop.yaml:14", "#   queue.infra: {image: NAME, port: 80}"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	if n := strings.Count(text, "{image: NAME"); n != 2 {
		t.Errorf("%d services:\n%s", n, text)
	}
	// What is commented out is right too, once it is taken in.
	in := strings.NewReplacer("# foothold:", "foothold:", "#   command:", "  command:", "#   request:", "  request:",
		"# services:", "services:", "#   db.", "  db.", "#   queue.", "  queue.").Replace(text)
	if c, err := app.LoadFiles("shop", map[string][]byte{"road.yaml": []byte(in)}); err != nil || c.Config.Foothold.Command == nil || len(c.Config.Services) != 2 {
		t.Errorf("%v\n%s", err, in)
	}
}

// TestOutlineOfLittle has no empty keys.
func TestOutlineOfLittle(t *testing.T) {
	files := map[string][]byte{"true.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n")}
	a, err := app.LoadFiles("x", files)
	if err != nil {
		t.Fatal(err)
	}
	files["road.yaml"] = Outline(a)
	b, err := app.LoadFiles("x", files)
	if err != nil || len(b.Problems) > 0 || len(b.Config.Checks) != 0 || len(b.Workloads) != 1 {
		t.Errorf("%v, %+v\n%s", err, b, files["road.yaml"])
	}
}

func TestScalar(t *testing.T) {
	for in, want := range map[string]string{
		"web": "web", "/a/b": "/a/b", ".": ".", "": `""`, "1": `"1"`, "yes": `"yes"`, "No": `"No"`, "a b": `"a b"`, "a:1": `"a:1"`, "a,b": `"a,b"`, "/?a=b": `"/?a=b"`,
	} {
		if got := scalar(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
