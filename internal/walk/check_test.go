package walk

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"road/internal/app"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
)

// checks runs one check against an HTTP server that stands for every Service.
func checkOne(t *testing.T, h http.HandlerFunc, check app.Check) CheckResult {
	t.Helper()
	return checkWith(t, &masker{}, h, check)
}

func checkWith(t *testing.T, m *masker, h http.HandlerFunc, check app.Check) CheckResult {
	t.Helper()
	srv := httptest.NewServer(h)
	defer srv.Close()
	engine := &memory{dial: func(ctx context.Context, addr string) (net.Conn, error) {
		if addr != "web:8080" {
			return nil, fmt.Errorf("nobody is called %s", addr)
		}
		return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}}
	a, err := app.LoadFiles("shop", map[string][]byte{"web.yaml": []byte(manifest("web"))})
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{app: a, dep: &memoryDeployment{m: engine, app: a}, refs: map[string]string{"example.com/web": "example.com/web:1"},
		mask: m, settle: 300 * time.Millisecond}
	return c.run(context.Background(), check)
}

func counter(step int) http.HandlerFunc {
	n := 0
	return func(w http.ResponseWriter, _ *http.Request) {
		n += step
		fmt.Fprintf(w, "visit %d", n)
	}
}

func TestChecks(t *testing.T) {
	get := func(body string) *app.HTTPCheck {
		return &app.HTTPCheck{Service: "web", Port: 8080, Path: "/", Body: body}
	}
	for _, c := range []struct {
		name   string
		check  app.Check
		h      http.HandlerFunc
		ok     bool
		detail string
	}{
		{"status", app.Check{HTTP: get("")}, counter(1), true, "200 OK"},
		{"body", app.Check{HTTP: get("visit [0-9]+")}, counter(1), true, "visit 1"},
		{"wrong body", app.Check{HTTP: get("hello")}, counter(1), false, `does not match "hello"`},
		{"wrong status", app.Check{HTTP: get("")}, http.NotFound, false, "404 Not Found"},
		{"wanted status", app.Check{HTTP: &app.HTTPCheck{Service: "web", Port: 8080, Path: "/", Status: 404}}, http.NotFound, true, "404"},
		{"any status", app.Check{HTTP: &app.HTTPCheck{Service: "web", Port: 8080, Status: anyStatus}}, http.NotFound, true, "404"},
		{"increases", app.Check{HTTP: get("visit ([0-9]+)"), Increases: true}, counter(1), true, "visit 2 (1, then 2)"},
		{"stands still", app.Check{HTTP: get("visit ([0-9]+)"), Increases: true}, counter(0), false, "does not increase"},
		{"no group", app.Check{HTTP: get("visit [0-9]+"), Increases: true}, counter(1), false, "no group"},
		{"over a restart", app.Check{HTTP: get("visit ([0-9]+)"), Increases: true, Restart: "web"}, counter(1), true, "after the restart of web"},
		{"unknown restart", app.Check{HTTP: get(""), Restart: "db"}, counter(1), false, `no workload "db"`},
		{"no such service", app.Check{HTTP: &app.HTTPCheck{Service: "db", Port: 1}}, counter(1), false, "nobody is called db:1"},
		{"connects", app.Check{TCP: &app.TCPCheck{Service: "web", Port: 8080}}, counter(1), true, "connected"},
		{"sends", app.Check{TCP: &app.TCPCheck{Service: "web", Port: 8080, Send: "GET / HTTP/1.0\r\n\r\n", Expect: "visit 1"}}, counter(1), true, "visit 1"},
		{"says something else", app.Check{TCP: &app.TCPCheck{Service: "web", Port: 8080, Send: "x\r\n\r\n", Expect: "PONG"}}, counter(1), false, "does not match"},
		{"pod", app.Check{Pod: &app.PodCheck{Image: "example.com/web", Command: []string{"ask"}, Stdout: ":1 ask$"}}, counter(1), true, ":1 ask"},
		{"pod of no image", app.Check{Pod: &app.PodCheck{Image: "other"}}, counter(1), false, `no workload uses an image "other"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.check.Name = c.name
			got := checkOne(t, c.h, c.check)
			if got.OK != c.ok || !strings.Contains(got.Detail, c.detail) {
				t.Errorf("got %v %q, want %v with %q", got.OK, got.Detail, c.ok, c.detail)
			}
		})
	}
}

// Endpoints need a moment: a check that fails at first is asked again.
func TestCheckIsAskedAgain(t *testing.T) {
	n := 0
	h := func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
		}
	}
	if got := checkOne(t, h, app.Check{HTTP: &app.HTTPCheck{Service: "web", Port: 8080}}); !got.OK {
		t.Errorf("got %+v", got)
	}
}

func TestInferredChecks(t *testing.T) {
	a, err := app.LoadFiles("shop", map[string][]byte{"web.yaml": []byte(manifest("web")), "svc.yaml": []byte(`apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}, {port: 5432}, {port: 53, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: nobody}
spec:
  selector: {app: other}
  ports: [{port: 80}]
`)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range inferred(a) {
		got = append(got, fmt.Sprintf("%s http=%v", c.Name, c.HTTP != nil))
	}
	if d := cmp.Diff([]string{"web:80 answers http=true", "web:5432 answers http=false"}, got); d != "" {
		t.Error(d)
	}
}

// A port that the application itself uses, and no front door leads to, is asked as
// who was seen to use it: a policy lets nobody else in.
func TestInferredCaller(t *testing.T) {
	files := map[string][]byte{"web.yaml": []byte(manifest("web")), "job.yaml": []byte(manifest("job")), "service.yaml": []byte(`apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}, {port: 9090}]
---
apiVersion: v1
kind: Service
metadata: {name: open}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 8080}]
`)}
	a, err := app.LoadFiles("shop", files)
	if err != nil {
		t.Fatal(err)
	}
	asked := func() string {
		var out []string
		for _, c := range inferred(a) {
			out = append(out, strings.TrimSuffix(c.Name, " answers")+"<"+c.From.Workload)
		}
		return strings.Join(out, " ")
	}
	if got := asked(); got != "web:80< web:9090< open:8080<" {
		t.Errorf("before anything was seen: %s", got)
	}
	a.Seen.Inside("deployment/job", "job").Connects = []app.Connection{{Workload: "deployment/web", Protocol: "TCP", Port: 8080}}
	if got := asked(); got != "web:80<deployment/job web:9090< open:8080<" {
		t.Errorf("one port was used: %s", got)
	}
}

func TestEnvironment(t *testing.T) {
	got := environment(map[string]app.EnvValue{"B": {Secret: "s", Key: "k"}, "A": {Value: "1"}})
	want := []corev1.EnvVar{{Name: "A", Value: "1"}, {Name: "B", ValueFrom: &corev1.EnvVarSource{
		SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "s"}, Key: "k"}}}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Two namespaces may have a Service of the same name, and workloads of the same
// labels.
func TestBehind(t *testing.T) {
	manifest := func(ns string) string {
		return strings.NewReplacer("NS", ns).Replace(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web-NS, namespace: NS}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: i}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: only-NS, namespace: NS}
spec: {selector: {app: web}, ports: [{port: 6000}]}
`)
	}
	a, err := app.LoadFiles("shop", map[string][]byte{"a.yaml": []byte(manifest("front")), "b.yaml": []byte(manifest("back"))})
	if err != nil {
		t.Fatal(err)
	}
	for service, want := range map[string]string{
		"web": "web-front", "web.front": "web-front", "web.back": "web-back", "web.back.svc.cluster.local": "web-back",
		"only-back": "web-back", "web.nowhere": "", "back": "",
	} {
		got := ""
		for _, w := range behind(a, service) {
			got += w.Name
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", service, got, want)
		}
	}
	var names []string
	for _, c := range inferred(a) {
		names = append(names, c.Name)
	}
	if d := cmp.Diff([]string{"web.front:80 answers", "only-front:6000 answers", "web.back:80 answers", "only-back:6000 answers"}, names); d != "" {
		t.Error(d)
	}
}

// A sidecar is attacked as what it stands beside, which comes first; what ends
// before the pod is there is not.
func TestEveryContainer(t *testing.T) {
	a, err := app.LoadFiles("shop", map[string][]byte{"pod.yaml": []byte(`apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  initContainers: [{name: side, image: i, restartPolicy: Always}, {name: first, image: i}]
  containers: [{name: web, image: i}, {name: more, image: i}]
`)})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, t := range everyContainer(a.Workloads) {
		names = append(names, t.Container)
	}
	if d := cmp.Diff([]string{"web", "more", "side"}, names); d != "" {
		t.Error(d)
	}
}
