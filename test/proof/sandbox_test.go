package proof

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"road/demo"
	"road/internal/sandbox"
	"road/internal/sandbox/oci"
	"road/internal/sandbox/sandboxtest"
	"road/internal/step"
	"road/internal/walk"
	"road/steps"

	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// engine is shared by the tests of this package: one network per world.
var engine = sync.OnceValues(func() (sandbox.Engine, error) {
	dir := os.Getenv(programsVariable)
	return oci.New(context.Background(), oci.Options{Probe: filepath.Join(dir, "road-probe"), Admission: filepath.Join(dir, "road-admission")})
})

// stand gives the demo at a stop; 0 is the end of the road.
func stand(t *testing.T, to int) *walk.Stand {
	t.Helper()
	sandboxtest.Need(t, "runc", "mmdebstrap")
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(t.TempDir(), "demo")
	if err := demo.Extract(root); err != nil {
		t.Fatal(err)
	}
	scratch, err := oci.Scratch()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(scratch, "stand")
	if err != nil {
		t.Fatal(err)
	}
	s, err := walk.StandAt(t.Context(), walk.Options{Root: root, Name: "demo", Dir: dir, Steps: steps.All, Engine: e, To: to})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// attacks gives those of a step that it stops.
func attacks(tried []walk.Tried) []walk.Tried {
	return slices.DeleteFunc(slices.Clone(tried), func(a walk.Tried) bool { return a.Attack.Open != "" })
}

// Without its protection, 1.0 plus only a step is what 1.0 was: all of the step's
// attacks succeed again, on every pod.
func TestSandboxTakenOutAlone(t *testing.T) {
	first := stand(t, 1)
	for _, s := range steps.All {
		t.Run(s.Name, func(t *testing.T) {
			alone, err := first.Plus(t.Context(), s)
			if err != nil {
				t.Fatalf("1.0 plus only %s: %v", s.Name, err)
			}
			for _, f := range s.Check(alone.App()) {
				if f.Workload != "" { // the base of an image may be left: it is no pod's protection
					t.Errorf("the step is not whole: %s: %s", f.Workload, f.Message)
				}
			}
			tried, err := alone.Attack(t.Context(), s, s)
			if err != nil {
				t.Fatal(err)
			}
			list := attacks(tried)
			if len(list) == 0 {
				t.Fatal("the step has no attack that it stops")
			}
			for _, a := range list {
				if a.Verdict != step.Succeeded {
					t.Errorf("%s on %s, with the protection taken out: %s %s %s", a.Attack.Name, a.Target, a.Verdict, a.Evidence, a.Reason)
				}
			}
			t.Logf("%d of %d succeed again", succeeded(list), len(list))
		})
	}
}

func succeeded(list []walk.Tried) int {
	n := 0
	for _, a := range list {
		if a.Verdict == step.Succeeded {
			n++
		}
	}
	return n
}

// admission is set aside in all of TestSandboxTakenOutAtTheEnd: it would refuse
// the weakened pods.
const admission = "admission"

// At the end of the road each protection is still there for something: without it
// an attack succeeds again. Where other stops cover for it, they are found: the
// attack succeeds without it and without one of them.
func TestSandboxTakenOutAtTheEnd(t *testing.T) {
	end := stand(t, 0)
	t.Run("Pod Security", func(t *testing.T) { podSecurity(t, end) })
	var aside []*step.Step
	for _, s := range steps.All {
		if s.Name == admission {
			aside = append(aside, s)
		}
	}
	for _, s := range steps.All {
		t.Run(s.Name, func(t *testing.T) {
			without := append([]*step.Step{s}, aside...)
			all, err := end.Attack(t.Context(), s, without...)
			if err != nil {
				t.Fatalf("without %v: %v", names(without), err)
			}
			tried := attacks(all)
			if n := succeeded(tried); n > 0 {
				t.Logf("%d of %d succeed again", n, len(tried))
				return
			}
			t.Logf("covered: %s", said(tried))
			for _, other := range steps.All {
				if other == s || slices.Contains(aside, other) {
					continue
				}
				both := attempt(t, end, s, append([]*step.Step{s, other}, aside...))
				if n := succeeded(both); n > 0 {
					t.Logf("%s covers: without it too, %d of %d succeed again", other.Name, n, len(both))
					return
				}
			}
			t.Error("no attack succeeds without it, nor without any one other step")
		})
	}
}

// attempt attacks the application with a step's attacks and without two steps; an
// application that does not run so shows nothing.
func attempt(t *testing.T, end *walk.Stand, s *step.Step, without []*step.Step) []walk.Tried {
	t.Helper()
	tried, err := end.Attack(t.Context(), s, without...)
	if err != nil {
		t.Logf("without %v: %v", names(without), err)
		return nil
	}
	return attacks(tried)
}

func names(list []*step.Step) []string {
	var out []string
	for _, s := range list {
		out = append(out, s.Name)
	}
	return out
}

func said(list []walk.Tried) string {
	var lines []string
	for _, a := range list {
		line, _, _ := strings.Cut(a.Evidence+" "+a.Reason, "\n")
		lines = append(lines, fmt.Sprintf("%s on %s: %s (%s)", a.Attack.Name, a.Target, a.Verdict, strings.TrimSpace(line)))
	}
	return strings.Join(lines, "; ")
}

// podSecurity judges every pod with Kubernetes' own code for the level restricted.
func podSecurity(t *testing.T, end *walk.Stand) {
	judge, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.MajorMinorVersion(1, 37)}
	if len(end.App().Workloads) == 0 {
		t.Fatal("no workload")
	}
	for _, w := range end.App().Workloads {
		pod := w.Pod
		for _, r := range judge.EvaluatePod(restricted, &metav1.ObjectMeta{}, pod) {
			if !r.Allowed {
				t.Errorf("%s: %s: %s", w.ID(), r.ForbiddenReason, r.ForbiddenDetail)
			}
		}
	}
}
