package lift_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"road/internal/edit"
	"road/internal/lift"
	"road/internal/render"
)

// TestFewRenderings has the work for a chart grow with what is rendered, and not
// with its square: of many services each has its own keys, one container that they
// set and one that only a patch can reach.
func TestFewRenderings(t *testing.T) {
	const services = 12
	root := t.TempDir()
	values := ""
	write := func(name, text string) {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range services {
		values += fmt.Sprintf("s%02d: {securityContext: {}}\n", i)
		write(fmt.Sprintf("templates/%02d.yaml", i), fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: s%02[1]d}
spec:
  containers:
  - name: web
    image: web:1
    securityContext:
      {{- toYaml .Values.s%02[1]d.securityContext | nindent 6 }}
  - name: a-proxy
    image: proxy:1
`, i))
	}
	write("Chart.yaml", "apiVersion: v2\nname: big\nversion: 1.0.0\n")
	write("values.yaml", values)
	a := load(t, nil, root, ".")
	var edits []edit.Edit
	for i := range services {
		for _, at := range []string{"spec.containers.0.securityContext.allowPrivilegeEscalation", "spec.containers.1.securityContext.allowPrivilegeEscalation"} {
			edits = append(edits, set(t, a, fmt.Sprintf("Pod/s%02d", i), at, "false"))
		}
	}
	n := 0
	here := render.Here
	defer func() { render.Here = here }()
	render.Here = func(q render.Request) render.Answer { n++; return here(q) }
	after, refused := lift.Apply(a, a.Files(), edits)
	if len(refused) > 0 || len(after) != services+4 { // a patch each; values, kustomization, run and plugin
		t.Errorf("%d files, refused %v", len(after), refused)
	}
	if n > services {
		t.Errorf("%d renderings for %d edits", n, len(edits))
	}
}
