// Package examples walks the applications beside it down the whole road. They are
// written as their users write them, insecure as usual, with real servers from
// the distribution.
package examples

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/sandbox/sandboxtest"
	"road/internal/step"
	"road/internal/walk"
	"road/steps"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// An example is one of the folders below examples/, walked to the end of the road.
type example struct {
	name    string
	checks  []string          // those of its road.yaml, which pass at every stop
	leftOut map[string]string // by step: why it is left out, as a pattern
	still   map[string]string // attacks that succeed at the end, each with the exception that says why, as a pattern
	keeps   bool              // it has volumes, so it is also started on empty ones
	secret  string            // that no output may hold
	policy  string            // that its network policies hold
	program string            // road, built as a user builds it
}

// unpushed is why examples are not pinned: nobody has pushed their images.
const unpushed = "there is no digest to pin"

// ownShell is why a shell can be run in the end: the application's own.
var ownShell = map[string]string{"run-shell": "keeps a shell.*the application itself runs a shell"}

var examples = []example{
	{name: "postgres", keeps: true, checks: []string{"written", "kept", "guarded"}, secret: "correct-horse-battery",
		leftOut: map[string]string{"pinned-image": unpushed}, still: ownShell},
	{name: "nginx", checks: []string{"page", "name", "missing", "cached", "curl", "from the cache"},
		leftOut: map[string]string{"pinned-image": unpushed}, still: ownShell},
	{name: "guestbook", checks: []string{"sign", "page", "upload", "download", "shipped file", "no name"},
		leftOut: map[string]string{"pinned-image": unpushed}, still: ownShell},
	{name: "job", keeps: true, checks: []string{"ready"},
		leftOut: map[string]string{"pinned-image": unpushed}, still: ownShell},
	{name: "shop", checks: []string{"bought", "listed", "kept", "answered"}, secret: "only-in-the-sandbox", policy: "cidr: 10.20.0.5/32",
		leftOut: map[string]string{"pinned-image": unpushed}},
}

// Each example walks the whole road: a step is done, or left out for the reason
// that is known; the application works at every stop, and what it ends as is what
// the road promises. Where
// it keeps data, it also starts without any.
func TestSandboxExamples(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	program := build(t)
	for _, e := range examples {
		e.program = program
		t.Run(e.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), e.name)
			if err := os.CopyFS(dir, os.DirFS(e.name)); err != nil {
				t.Fatal(err)
			}
			r := e.walk(t, "--write", dir)
			if len(r.Stops) != len(steps.All)+1 {
				t.Fatalf("%d stops, want %d", len(r.Stops), len(steps.All)+1)
			}
			e.checkStops(t, r.Stops)
			if got := startedAnew(r.Stops); got != e.keeps {
				t.Errorf("started on empty volumes: %v, want %v", got, e.keeps)
			}
			e.checkMatrix(t, r)
			e.checkFiles(t, dir)
		})
	}
}

// walk walks a folder, and wants no output to hold the secret.
func (e *example) walk(t *testing.T, args ...string) *walk.Report {
	t.Helper()
	out := run(t, e.program, append([]string{"walk", "-o", "json"}, args...)...)
	r := &walk.Report{}
	if err := json.Unmarshal(out.stdout, r); err != nil {
		t.Fatal(err)
	}
	if e.secret != "" && strings.Contains(out.all(), e.secret) {
		t.Error("the report holds the secret")
	}
	return r
}

// startedAnew says whether the application was seen to work without any data.
func startedAnew(stops []*walk.Stop) bool {
	for _, s := range stops {
		for _, c := range s.Works.Checks {
			if c.Name == "first start" && c.OK {
				return true
			}
		}
	}
	return false
}

// checkMatrix wants no attack to succeed at the end, but those that the road
// leaves open, those of a step that was left out, and those that an exception
// explains.
func (e *example) checkMatrix(t *testing.T, r *walk.Report) {
	t.Helper()
	blocked := 0
	for _, row := range r.Matrix.Rows {
		last := row.Details[len(row.Details)-1]
		switch {
		case last.Verdict == step.Blocked:
			blocked++
		case last.Verdict == step.Succeeded && row.Open == "" && e.leftOut[row.Step] == "" && !excepted(r, row.Step, e.still[row.Attack]):
			t.Errorf("%s succeeds at the end on %s: %s", row.Attack, last.Target, last.Evidence)
		}
	}
	if blocked < 15 {
		t.Errorf("only %d attacks are blocked at the end", blocked)
	}
}

func (e *example) checkStops(t *testing.T, stops []*walk.Stop) {
	t.Helper()
	for _, s := range stops {
		why := e.leftOut[s.Step]
		for _, w := range s.Workloads {
			if w.Status == walk.LeftOut && (why == "" || !regexp.MustCompile(why).MatchString(w.Reason)) {
				t.Errorf("%d.0 %s: %s is left out: %s", s.Number, s.Step, w.Name, w.Reason)
			}
		}
		if s.Status == walk.LeftOut && (why == "" || !regexp.MustCompile(why).MatchString(s.Reason)) {
			t.Errorf("%d.0 %s is left out: %s", s.Number, s.Step, s.Reason)
		}
		passed := map[string]bool{}
		for _, c := range s.Works.Checks {
			passed[c.Name] = c.OK
		}
		for _, name := range e.checks {
			if !passed[name] {
				t.Errorf("%d.0 %s: check %s: %+v", s.Number, s.Step, name, s.Works)
			}
		}
	}
}

// excepted says whether a workload's exception from a step matches pattern.
func excepted(r *walk.Report, step, pattern string) bool {
	for _, s := range r.Stops {
		for _, w := range s.Workloads {
			if s.Step == step && pattern != "" && regexp.MustCompile(pattern).MatchString(strings.Join(w.Exceptions, "\n")) {
				return true
			}
		}
	}
	return false
}

// checkFiles wants the walked files to hold what the road promises at its end.
func (e *example) checkFiles(t *testing.T, dir string) {
	t.Helper()
	a, err := app.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Workloads) == 0 || len(a.Problems) > 0 {
		t.Fatalf("%d workloads, %v", len(a.Workloads), a.Problems)
	}
	if written, err := os.ReadFile(filepath.Join(dir, "manifests", "networkpolicy.yaml")); err != nil || !strings.Contains(string(written), e.policy) {
		t.Errorf("%v: %q is missing in\n%s", err, e.policy, written)
	}
	security, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.MajorMinorVersion(1, 37)}
	for _, w := range a.Workloads {
		for _, r := range security.EvaluatePod(restricted, w.Meta, w.Pod) {
			if !r.Allowed {
				t.Errorf("%s: Pod Security restricted: %s %s", w.ID(), r.ForbiddenReason, r.ForbiddenDetail)
			}
		}
		for c := range w.Containers() {
			if s := c.Spec.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
				t.Errorf("%s container %s: its root file system can be written", w.ID(), c.Spec.Name)
			}
		}
		for _, direction := range []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress} {
			if !denied(a, w, direction) {
				t.Errorf("%s: no policy denies %s by default", w.ID(), direction)
			}
		}
	}
}

// denied says whether a policy holds a workload's pods in a direction and allows
// nobody in particular: not all addresses, and not all pods.
func denied(a *app.App, w *app.Workload, direction networkingv1.PolicyType) bool {
	held := false
	for _, o := range a.Objects {
		p, ok := o.Typed.(*networkingv1.NetworkPolicy)
		if !ok || o.Home() != w.Home() {
			continue
		}
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.PodSelector)
		if err != nil || !selector.Matches(labels.Set(w.Meta.Labels)) {
			continue
		}
		for _, d := range p.Spec.PolicyTypes {
			held = held || d == direction
		}
		for _, rule := range p.Spec.Ingress {
			if direction == networkingv1.PolicyTypeIngress && len(rule.From) == 0 && len(rule.Ports) == 0 {
				return false
			}
		}
		for _, rule := range p.Spec.Egress {
			if direction == networkingv1.PolicyTypeEgress && len(rule.To) == 0 && len(rule.Ports) == 0 {
				return false
			}
		}
	}
	return held
}
