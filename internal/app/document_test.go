package app

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestDocumentsNameTheLine holds the lines at which broken YAML breaks, wherever
// the mapping around the fault begins.
func TestDocumentsNameTheLine(t *testing.T) {
	for _, c := range []struct {
		content string
		line    int
	}{
		{"a: 1\nb:\n\tc: d\n", 3},
		{"a: 1\nb:\n  c: d\n e: f\n", 4},
		{"---\n# head\nspec:\n  a: b\n  x:\n    - 1\n c: d\n", 7},
		{"---\n# head\na:\n  - b\n  - c\n  d: 1\n", 6},
		{"a: 1\nb: \"unclosed\nc: 2\n", 2},
		{"a: 1\nb: [1, 2\nc: 2\n", 2},
		{"a: 1\nb: c: d\n", 2},
		{"a: 1\nb: *nope\n", 2},
		{"a: 1\nb: @x\n", 2},
		{"a: 1\nb: |x\n  y\n", 2},
		{"a: 1\n\x01b: 2\n", 2},
		{"a: 1\n\xffb: 2\n", 2},
		{"a: 1\n---\nb: 2\n  c: 3\n", 4},
		{"&a &b x: 1", 1},
	} {
		_, err := Documents([]byte(c.content))
		var p Problem
		if !errors.As(err, &p) || p.Line != c.line || !strings.HasPrefix(p.Message, "not YAML: ") {
			t.Errorf("%q: %v, want line %d", c.content, err, c.line)
		}
	}
}

func TestOddLineBreaks(t *testing.T) {
	a, err := LoadFiles("x", map[string][]byte{"a.yaml": []byte("apiVersion: v1\r# \u2028\u0085\nkind: Pod\nmetadata: {name: ab, labels: {x: \"a\u2028b\"}}\nspec:\n  containers:\n  - {name: x, image: x}\n")})
	if err != nil || len(a.Workloads) != 1 {
		t.Fatal(dump(a, err))
	}
	w := a.Workloads[0]
	if got := w.Pos(w.PodPath).String(); got != "a.yaml:4" { // grep -n and editors count line feeds
		t.Errorf("spec at %s", got)
	}
}

// manifests makes n files with two documents each.
func manifests(n int) map[string][]byte {
	files := map[string][]byte{}
	for i := range n {
		files[fmt.Sprintf("k8s/app%03d.yaml", i)] = fmt.Appendf(nil, `apiVersion: apps/v1
kind: Deployment
metadata:
  name: app%[1]d
  labels: {app: app%[1]d}
spec:
  replicas: 3
  selector:
    matchLabels: {app: app%[1]d}
  template:
    metadata:
      labels: {app: app%[1]d}
    spec:
      # what runs
      containers:
      - name: web
        image: registry.example/team/app%[1]d:1
        env:
        - name: A
          value: "1"
        - name: B
          valueFrom: {secretKeyRef: {name: s, key: k}}
        ports:
        - containerPort: 8080
        resources:
          requests: {cpu: 100m, memory: 128Mi}
        readinessProbe:
          httpGet: {path: /healthz, port: 8080}
        securityContext:
          allowPrivilegeEscalation: false
          capabilities:
            drop: [ALL]
---
apiVersion: v1
kind: Service
metadata:
  name: app%[1]d
spec:
  selector: {app: app%[1]d}
  ports:
  - {port: 80, targetPort: 8080}
`, i)
	}
	return files
}

func BenchmarkLoad(b *testing.B) {
	for _, n := range []int{300, 600} {
		files := manifests(n)
		b.Run(fmt.Sprint(n, "files"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a, err := LoadFiles("x", files)
				if err != nil || len(a.Workloads) != n {
					b.Fatal(err)
				}
			}
		})
	}
}

// A deep document is no bomb of aliases, and does not say so.
func TestTooDeep(t *testing.T) {
	text := "apiVersion: v1\nkind: Pod\nspec: " + strings.Repeat("[", 2000) + strings.Repeat("]", 2000) + "\n"
	a, err := LoadFiles("deep", map[string][]byte{"deep.yaml": []byte(text)})
	if err != nil || len(a.Problems) != 1 || a.Problems[0].Error() != "deep.yaml:1: it is nested deeper than road reads" {
		t.Errorf("%s", dump(a, err))
	}
}
