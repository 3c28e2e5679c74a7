package oci

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"road/demo"
	"road/internal/app"
	"road/internal/edit"
	"road/internal/openshift"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"
	"road/internal/sandbox/sandboxtest"
	"road/internal/step"
	"road/steps/nonroot"

	corev1 "k8s.io/api/core/v1"
)

const web, db = "deployment/road-to-secure-kubernetes", "statefulset/redis"

// testEngine is shared by the tests of this package: one network per world.
var testEngine = sync.OnceValues(func() (sandbox.Engine, error) {
	return New(context.Background(), Options{Probe: os.Getenv(probeVariable)})
})

func engineFor(t *testing.T) sandbox.Engine {
	t.Helper()
	sandboxtest.Need(t, "runc", "mmdebstrap")
	e, err := testEngine()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// demoAt gives the demo at 1.0 or, fixed by the first step, at 2.0.
func demoAt(t *testing.T, stop int) *app.App {
	t.Helper()
	dir := t.TempDir()
	if err := demo.Extract(dir); err != nil {
		t.Fatal(err)
	}
	a := load(t, dir)
	if stop == 1 {
		return a
	}
	a.Stop = stop
	edits, err := step.Plan(nonroot.Step, a)
	if err != nil {
		t.Fatal(err)
	}
	after, refused := edit.Apply(a.Files(), edits)
	if len(refused) > 0 {
		t.Fatal(refused[0])
	}
	if err := edit.Write(dir, after); err != nil {
		t.Fatal(err)
	}
	return load(t, dir)
}

func load(t *testing.T, dir string) *app.App {
	t.Helper()
	a, err := app.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// deploy runs a until the test ends.
func deploy(t *testing.T, a *app.App) *deployment {
	t.Helper()
	ctx := t.Context()
	e := engineFor(t)
	if _, err := e.Prepare(ctx, a, func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
	d, err := e.Deploy(ctx, a, sandbox.DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	ready, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := d.Ready(ready); err != nil {
		t.Fatal(err)
	}
	return d.(*deployment)
}

// ask is one request of a user's.
func ask(t *testing.T, d sandbox.Deployment, path string) string {
	t.Helper()
	c, err := d.Client(t.Context(), sandbox.ClientOptions{Service: "road-to-secure-kubernetes"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	user := &http.Client{Transport: &http.Transport{DialContext: c.DialContext, DisableKeepAlives: true}, Timeout: 10 * time.Second}
	resp, err := user.Get("http://road-to-secure-kubernetes:8080" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

var hello = regexp.MustCompile(`^Hello, World for the (\d+)'th time\n$`)

func count(t *testing.T, d sandbox.Deployment) int {
	t.Helper()
	body := ask(t, d, "/")
	m := hello.FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("the counter answers %q", body)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// The image of 2.0 has to run as whatever user a platform gives it, as OpenShift
// does: any uid, group 0, and the group of its volumes.
func TestSandboxAnyUser(t *testing.T) {
	const uid = openshift.FirstUser
	a := demoAt(t, 2)
	a.Config.Target.OpenShift = true
	sc := a.Workload(web).Pod.SecurityContext
	sc.RunAsUser, sc.RunAsGroup = nil, nil
	d := deploy(t, a)
	first := count(t, d)
	if second := count(t, d); second != first+1 {
		t.Errorf("the counter went from %d to %d", first, second)
	}
	if got := strings.TrimSpace(ask(t, d, "/rce/?cmd=id+-u")); got != fmt.Sprint(uid) {
		t.Errorf("the server's user is %s, want %d", got, uid)
	}
	if got := strings.TrimSpace(ask(t, d, "/rce/?cmd=id+-g")); got != "0" {
		t.Errorf("the server's group is %s, want 0", got)
	}
	if got := strings.Fields(ask(t, d, "/rce/?cmd=id+-G")); !slices.Contains(got, fmt.Sprint(uid)) {
		t.Errorf("the server's groups are %s, want %d among them", got, uid)
	}
	if a.Workload(web).Pod.SecurityContext.RunAsUser != nil {
		t.Error("the application's own manifest has a user now")
	}
	// Group 0 may write where the application lies: what g+rwX is for.
	if got := ask(t, d, "/rce/?cmd=touch+/app/x"); got != "" {
		t.Errorf("touch /app/x: %s", got)
	}
}

// What the probe may do says something of the application only where it runs as
// the application does.
func TestSandboxProbeRunsAsTheApp(t *testing.T) {
	for stop := 1; stop <= 2; stop++ {
		d := deploy(t, demoAt(t, stop))
		for _, target := range []sandbox.Target{{Workload: web, Container: "road-to-secure-kubernetes"}, {Workload: db, Container: "redis"}} {
			s, err := d.Scene(t.Context(), target, false)
			if err != nil {
				t.Fatal(err)
			}
			var own string
			if err := s.Foothold.Code(t.Context(), probe.Status, nil, &own); err != nil {
				t.Fatal(err)
			}
			var app probe.ReadResult
			if err := s.Foothold.Code(t.Context(), probe.Read, probe.ReadArgs{Path: "/proc/1/status"}, &app); err != nil {
				t.Fatal(err)
			}
			for _, field := range []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "NSpid"} {
				a, p := statusField(string(app.Data), field), statusField(own, field)
				if field == "NSpid" { // the same namespace shows as the same number of levels
					a, p = fmt.Sprint(len(strings.Fields(a))), fmt.Sprint(len(strings.Fields(p)))
				}
				if a == "" && field != "Groups" || a != p {
					t.Errorf("%d.0 %s: %s of the application is %q, of the probe %q", stop, target.Workload, field, a, p)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func statusField(status, name string) string {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return ""
}

// Redis keeps the counter across its own restart, and a pod of an attack's own
// works on a copy of the claim.
func TestSandboxClaims(t *testing.T) {
	d := deploy(t, demoAt(t, 1))
	before := count(t, d)
	if err := d.Restart(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if after := count(t, d); after <= before {
		t.Errorf("the counter went from %d to %d across a restart of Redis", before, after)
	}
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: db, Container: "redis"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Foothold.Code(t.Context(), probe.Write, probe.WriteArgs{Path: "/data/mine", Data: []byte("x")}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Node.Stat("/data/mine"); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	shared, err := d.Scene(t.Context(), sandbox.Target{Workload: db, Container: "redis"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Close()
	if _, err := shared.Node.Stat("/data/mine"); err == nil {
		t.Error("what the attack's pod wrote is on the application's volume")
	}
}

// An application that cannot get ready says so at once, with the kubelet's words.
func TestSandboxNotReady(t *testing.T) {
	yes := true
	a := demoAt(t, 1)
	a.Workload(web).Pod.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: &yes}
	e := engineFor(t)
	if _, err := e.Prepare(t.Context(), a, nil); err != nil {
		t.Fatal(err)
	}
	d, err := e.Deploy(t.Context(), a, sandbox.DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop(context.Background())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err = d.Ready(ctx)
	if err == nil || !strings.Contains(err.Error(), "container has runAsNonRoot and image will run as root") {
		t.Errorf("Ready gives %v", err)
	}
}

// The neighbour is a pod of the attacked workload's own namespace.
func TestSandboxNeighbour(t *testing.T) {
	d := deploy(t, demoAt(t, 1))
	d.app.Workload(db).Namespace = "data"
	seen := map[sandbox.Host]bool{}
	for _, target := range []sandbox.Target{{Workload: web, Container: "road-to-secure-kubernetes"}, {Workload: db, Container: "redis"}, {Workload: db, Container: "redis"}} {
		s, err := d.Scene(t.Context(), target, false)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		seen[s.Neighbour] = true
		if got, want := s.Neighbour.(*network.Endpoint).Namespace, d.app.Workload(target.Workload).Home(); got != want {
			t.Errorf("%s: the neighbour stands in %s, not in %s", target.Workload, got, want)
		}
	}
	if len(seen) != 2 {
		t.Errorf("%d neighbours in two namespaces", len(seen))
	}
}

// The attacker's host and the neighbour are machines of their own.
func TestSandboxHosts(t *testing.T) {
	d := deploy(t, demoAt(t, 1))
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: web, Container: "road-to-secure-kubernetes"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, h := range map[string]sandbox.Host{"attacker": s.Attacker, "neighbour": s.Neighbour} {
		l, err := h.Listen(t.Context(), "tcp", h.Addr()+":4444")
		if err != nil {
			t.Fatal(err)
		}
		line := make(chan string, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			b := make([]byte, 32)
			n, _ := c.Read(b)
			line <- string(b[:n])
		}()
		if err := s.Foothold.Code(t.Context(), probe.Dial, probe.DialArgs{Network: "tcp", Addr: h.Addr() + ":4444", Send: []byte("hello")}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
			l.Close()
			continue
		}
		select {
		case got := <-line:
			if got != "hello" {
				t.Errorf("%s read %q", name, got)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s saw nothing", name)
		}
		l.Close()
	}
}
