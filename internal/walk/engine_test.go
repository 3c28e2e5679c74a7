package walk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// memory is an engine that runs nothing: it lets the tests of this package
// decide how an application behaves, to see what the driver makes of it. That
// walks are right with real containers is tested elsewhere.
type memory struct {
	notes []string // sandbox.Deployment.Notes
	// within is told how long an application may take to get ready.
	within func(a *app.App, limit time.Duration)
	codeAs string // who the attacker's code is
	lacks  map[sandbox.Power]string

	// unready says why a workload does not get ready, "" where it does.
	unready func(a *app.App, w *app.Workload) string
	// unreadyAnew says the same of a start on empty volumes.
	unreadyAnew func(a *app.App, w *app.Workload) string
	// learn is told what runs; it adds what that showed.
	learn func(a *app.App, s *app.Seen)
	// refused is told what did not work; it adds what it says of that.
	refused func(a *app.App, s *app.Seen)
	// calls is told what was traced; it adds its system calls.
	calls func(a *app.App, s *app.Seen) error
	// user gives who the application's images run as; root where it is nil.
	user func(a *app.App) string
	// dial connects clients to Services.
	dial func(ctx context.Context, addr string) (net.Conn, error)
	// deaf says whether the Services of what runs answer nobody.
	deaf func(a *app.App) bool

	mu       sync.Mutex
	running  []*memoryDeployment
	deployed []string // name and claims of each deployment so far
	pushes   []bool   // whether images might be pushed, for each Publish so far
	t        *testing.T
}

func (m *memory) Info() sandbox.Info { return sandbox.Info{Name: "memory", Lacks: m.lacks} }

func (m *memory) Prepare(_ context.Context, a *app.App, p sandbox.Progress) (map[string]app.ImageFacts, error) {
	facts := map[string]app.ImageFacts{}
	for _, i := range a.Images {
		f := app.ImageFacts{ID: i.Ref, Bytes: 42}
		if m.user != nil {
			f.User = m.user(a)
		}
		facts[i.Ref] = f
		if p != nil {
			p("prepare " + i.Ref)
		}
	}
	return facts, nil
}

func (m *memory) Deploy(_ context.Context, a *app.App, o sandbox.DeployOptions) (sandbox.Deployment, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range m.running {
		if o.Claims != "" && d.claims == o.Claims {
			m.t.Errorf("two deployments at once with the claims %q", o.Claims)
		}
	}
	d := &memoryDeployment{m: m, app: a, claims: o.Claims, traced: o.Trace}
	m.running = append(m.running, d)
	m.deployed = append(m.deployed, o.Name+" "+o.Claims)
	return d, nil
}

func (m *memory) Publish(_ context.Context, a *app.App, push bool, _ sandbox.Progress) (map[string]app.Pin, error) {
	m.mu.Lock()
	m.pushes = append(m.pushes, push)
	m.mu.Unlock()
	pins := map[string]app.Pin{}
	for _, i := range a.Images {
		pins[i.Ref] = app.Pin{Digest: "sha256:" + i.Name, Registry: "example.com"}
	}
	return pins, nil
}

func (m *memory) Close() error { return nil }

// ran gives the deployments so far, sorted: several go on at once.
func (m *memory) ran() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Sorted(slices.Values(m.deployed))
}

type memoryDeployment struct {
	m      *memory
	app    *app.App
	claims string
	traced bool
}

func (d *memoryDeployment) Ready(ctx context.Context) error {
	if end, ok := ctx.Deadline(); ok && d.m.within != nil {
		d.m.within(d.app, time.Until(end))
	}
	unready := d.m.unready
	if d.claims == "" && d.m.unreadyAnew != nil {
		unready = d.m.unreadyAnew
	}
	var late *sandbox.NotReadyError
	var running []string
	for _, w := range d.app.Workloads {
		if unready == nil {
			break
		}
		if why := unready(d.app, w); why == "never" {
			<-ctx.Done()
			return ctx.Err()
		} else if why == "" {
			running = append(running, w.ID())
		} else if late == nil {
			late = &sandbox.NotReadyError{Workload: w.ID(), Reason: why, Logs: "last words of " + w.ID()}
		}
	}
	if late != nil {
		late.Running = running
		return late
	}
	return ctx.Err()
}

func (d *memoryDeployment) Notes() []string { return d.m.notes }

func (d *memoryDeployment) Unready() []*sandbox.NotReadyError {
	var out []*sandbox.NotReadyError
	for _, w := range d.app.Workloads {
		if d.m.unready == nil {
			break
		}
		if why := d.m.unready(d.app, w); why != "" {
			out = append(out, &sandbox.NotReadyError{Workload: w.ID(), Reason: why, Logs: "last words of " + w.ID()})
		}
	}
	return out
}

type memoryClient struct {
	*memory
	app *app.App
}

func (c memoryClient) DialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	if c.deaf != nil && c.deaf(c.app) {
		return nil, &net.OpError{Op: "dial", Err: errors.New("nobody listens")}
	}
	return c.dial(ctx, addr)
}

func (d *memoryDeployment) Client(context.Context, sandbox.ClientOptions) (sandbox.Client, error) {
	if d.m.dial == nil {
		return nil, errors.New("nobody answers")
	}
	return memoryClient{d.m, d.app}, nil
}

func (d *memoryDeployment) RunPod(_ context.Context, o sandbox.PodOptions) (sandbox.Output, error) {
	return sandbox.Output{Stdout: o.Image + " " + strings.Join(o.Command, " ")}, nil
}

func (d *memoryDeployment) Restart(context.Context, string) error { return nil }

func (d *memoryDeployment) Scene(_ context.Context, t sandbox.Target, _ bool, _ ...func(*corev1.PodSpec)) (*sandbox.Scene, error) {
	if d.claims == "walk" {
		d.m.t.Error("what is walked is attacked")
	}
	return &sandbox.Scene{App: d.app, Target: t, CodeAs: func() string { return d.m.codeAs }}, nil
}

func (d *memoryDeployment) Learn(_ context.Context, s *app.Seen) error {
	if d.m.learn != nil {
		d.m.learn(d.app, s)
	}
	return nil
}

func (d *memoryDeployment) Refused(s *app.Seen) error {
	if d.m.refused != nil {
		d.m.refused(d.app, s)
	}
	return nil
}

func (d *memoryDeployment) SysCalls(s *app.Seen) error {
	if !d.traced {
		d.m.t.Error("the calls of a deployment that is not traced")
	}
	return d.m.calls(d.app, s)
}

func (d *memoryDeployment) Front() (string, int) { return "", 0 }
func (d *memoryDeployment) Unresolved() []string { return nil }

func (d *memoryDeployment) Logs(w string, _ int) string {
	return "log of " + w
}

func (d *memoryDeployment) Publish(context.Context, string, string, int) (net.Addr, error) {
	return nil, errors.New("no address")
}

func (d *memoryDeployment) Stop(ctx context.Context) error {
	d.m.mu.Lock()
	defer d.m.mu.Unlock()
	for i, r := range d.m.running {
		if r == d {
			d.m.running = append(d.m.running[:i], d.m.running[i+1:]...)
			return ctx.Err()
		}
	}
	d.m.t.Error("a deployment was stopped twice")
	return nil
}

// labelStep is a step whose protection is a label of the pod: the simplest that
// can be checked, fixed, weakened and attacked.
func labelStep(name string) *step.Step {
	has := func(w *app.Workload) bool { return w.Meta.Labels[name] == "on" }
	s := &step.Step{Name: name, Title: "Put the label " + name}
	s.Check = func(a *app.App) []step.Finding {
		var out []step.Finding
		for _, w := range a.Workloads {
			if !has(w) {
				out = append(out, step.Finding{Pos: w.Pos(nil), Workload: w.ID(), Message: w.ID() + " lacks " + name})
			}
		}
		return out
	}
	s.Fix = func(a *app.App) ([]edit.Edit, error) {
		var out []edit.Edit
		for _, f := range s.Check(a) {
			w := a.Workload(f.Workload)
			out = append(out, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: app.Path{"spec", "template", "metadata", "labels", name}, Value: "on"}})
			for _, in := range a.Seen.Containers[w.ID()] {
				if len(in.Written) > 0 && w.Meta.Annotations[name] == "" {
					out = append(out, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: app.Path{"spec", "template", "metadata", "annotations", name}, Value: in.Written[0]}})
				}
			}
		}
		return out, nil
	}
	s.Weaken = func(a *app.App) {
		for _, w := range a.Workloads {
			delete(w.Meta.Labels, name)
		}
	}
	s.Attacks = []step.Attack{{Name: "break-" + name, Goal: "break it", Transport: step.Code, Run: func(_ context.Context, sc *sandbox.Scene) (step.Outcome, error) {
		if has(sc.App.Workload(sc.Target.Workload)) {
			return step.Outcome{Verdict: step.Blocked, Evidence: "refused: " + name}, nil
		}
		return step.Outcome{Verdict: step.Succeeded, Evidence: "taken"}, nil
	}}}
	return s
}

// manifest gives a Deployment with labels on its pods.
func manifest(name string, labels ...string) string {
	more := ""
	for _, l := range labels {
		more += fmt.Sprintf("\n        %s: \"on\"", l)
	}
	return fmt.Sprintf(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: %[1]s
spec:
  selector:
    matchLabels:
      app: %[1]s
  template:
    metadata:
      labels:
        app: %[1]s%[2]s
    spec:
      containers:
      - name: %[1]s
        image: example.com/%[1]s:1
`, name, more)
}

// options makes a walk of files by the engine.
func options(t *testing.T, m *memory, files map[string]string, steps ...*step.Step) Options {
	t.Helper()
	m.t = t
	root := filepath.Join(t.TempDir(), "shop")
	for name, content := range files {
		write(t, filepath.Join(root, name), content)
	}
	t.Cleanup(func() {
		if len(m.running) > 0 {
			t.Errorf("%d deployments were not stopped", len(m.running))
		}
	})
	return Options{Root: root, Dir: t.TempDir(), Steps: steps, Engine: m, Settle: 1, Steady: 1}
}

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
