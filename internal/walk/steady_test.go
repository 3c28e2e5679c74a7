package walk

import (
	"errors"
	"strings"
	"testing"

	"road/internal/app"
)

// Nobody asks this server anything, and it ends a moment after it was ready.
func TestStays(t *testing.T) {
	looks := 0
	m := &memory{unready: func(*app.App, *app.Workload) string {
		if looks++; looks == 1 {
			return ""
		}
		return "exit status 1, 3 times in a row"
	}}
	_, err := Walk(t.Context(), options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a")))
	var input *InputError
	if !errors.As(err, &input) || !strings.Contains(err.Error(), "deployment/web does not get ready: exit status 1, 3 times in a row") {
		t.Errorf("%v", err)
	}
}

func TestUnasked(t *testing.T) {
	const probed = `apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  containers:
  - {name: web, image: web, readinessProbe: {tcpSocket: {port: 80}}}
`
	const job = `apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: once, image: once}]}}}
`
	for name, c := range map[string]struct {
		files map[string]string
		want  bool
	}{
		"nobody asks":       {map[string]string{"web.yaml": manifest("web")}, true},
		"a Service":         {map[string]string{"web.yaml": manifest("web"), "service.yaml": front}, false},
		"one of two":        {map[string]string{"web.yaml": manifest("web"), "service.yaml": front, "db.yaml": manifest("db")}, true},
		"a readiness probe": {map[string]string{"web.yaml": probed}, false},
		"a job":             {map[string]string{"once.yaml": job}, false},
		"its owner's check": {map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db"), "service.yaml": front,
			"road.yaml": "apiVersion: road/v1\nchecks: [{name: front, http: {service: web, port: 80}}]\n"}, false},
	} {
		a, err := app.Load(options(t, &memory{}, c.files).Root)
		if err != nil {
			t.Fatal(err)
		}
		if got := unasked(a); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
