package steptest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/step"

	"github.com/google/go-cmp/cmp"
)

// named gives a step that wants every pod to have an owner among its labels.
func named() *step.Step {
	path := app.Path{"metadata", "labels", "owner"}
	return &step.Step{
		Name: "owner", Title: "Name the owner", Refs: []step.Ref{{Framework: "none", ID: "0"}},
		Explain: "## What changes?\n## What does this prevent?\n## What can it break?\n## How is it proven?\n",
		Check: func(a *app.App) (f []step.Finding) {
			for _, w := range a.Workloads {
				if w.Meta.Labels["owner"] == "" {
					f = append(f, step.Finding{Pos: w.Pos(path), Workload: w.ID(), Message: "no owner", Hint: "name one"})
				}
			}
			return f
		},
		Fix: func(a *app.App) (e []edit.Edit, err error) {
			for _, w := range a.Workloads {
				if w.Meta.Labels["owner"] == "" {
					e = append(e, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: path, Value: "me"}})
				}
			}
			return e, nil
		},
		Weaken: func(a *app.App) {
			for _, w := range a.Workloads {
				delete(w.Meta.Labels, "owner")
			}
		},
		Attacks: []step.Attack{{Name: "none", Goal: "nothing", Transport: step.Code, Run: func(context.Context, *sandbox.Scene) (step.Outcome, error) { return step.Outcome{}, nil }}},
	}
}

const goodCase = `A pod without an owner.
-- pod.yaml --
apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers: [{name: web, image: web}]
-- findings --
pod.yaml:3: no owner (name one) [pod/web]
-- fix.diff --
--- a/pod.yaml
+++ b/pod.yaml
@@ -2,5 +2,7 @@
 kind: Pod
 metadata:
   name: web
+  labels:
+    owner: me
 spec:
   containers: [{name: web, image: web}]
`

// faults are the ways in which a step or a case can be wrong, with what the
// harness has to say of each.
var faults = []struct {
	name, want string
	change     func(s *step.Step, testcase string) string // gives the case's text, "" for no case at all
}{
	{"none", "", func(s *step.Step, c string) string { return c }},
	{"no case", "no case in testdata", func(s *step.Step, c string) string { return "" }},
	{"invalid step", "no Refs", func(s *step.Step, c string) string { s.Refs = nil; return c }},
	{"no story", "the case has no story", func(s *step.Step, c string) string { return c[strings.Index(c, "-- "):] }},
	{"other findings", "findings (-want +got)", func(s *step.Step, c string) string { return strings.Replace(c, "no owner", "no name", 1) }},
	{"other diff", "fix.diff (-want +got)", func(s *step.Step, c string) string { return strings.Replace(c, "owner: me", "owner: you", 1) }},
	{"Fix that does not", "after Fix: pod.yaml:3: no owner", func(s *step.Step, c string) string {
		s.Fix = func(*app.App) ([]edit.Edit, error) { return nil, nil }
		return c
	}},
	{"Fix without end", "a second Fix makes an edit: pod.yaml: metadata.labels.again = n2", func(s *step.Step, c string) string {
		fix := s.Fix
		s.Fix = func(a *app.App) ([]edit.Edit, error) {
			e, err := fix(a)
			n := len(a.Workloads[0].Meta.Labels)
			return append(e, edit.Edit{File: "pod.yaml", Set: &edit.Set{Path: app.Path{"metadata", "labels", "again"}, Value: fmt.Sprint("n", n)}}), err
		}
		return c
	}},
	{"Fix that breaks the manifest", "after Fix pod.yaml", func(s *step.Step, c string) string {
		s.Fix = func(*app.App) ([]edit.Edit, error) {
			return []edit.Edit{{File: "pod.yaml", Set: &edit.Set{Path: app.Path{"metadata", "labels"}, Value: 1}}}, nil
		}
		return c
	}},
	{"Weaken that does not", "Weaken takes nothing away", func(s *step.Step, c string) string { s.Weaken = func(*app.App) {}; return c }},
	{"Check that changes its mind", "Check is not repeatable", func(s *step.Step, c string) string {
		check, n := s.Check, 0
		s.Check = func(a *app.App) []step.Finding {
			n++
			f := check(a)
			for i := range f {
				f[i].Hint = fmt.Sprint(n)
			}
			return f
		}
		return c
	}},
	{"findings out of order", "not in the order of files and lines", func(s *step.Step, c string) string {
		check := s.Check
		s.Check = func(a *app.App) []step.Finding {
			f := check(a)
			if len(f) > 0 {
				return append(f, step.Finding{Pos: app.Pos{File: "a.yaml", Line: 1}, NeedsRun: true})
			}
			return f
		}
		return c
	}},
}

// TestHarnessFails runs the harness on each fault in a process of its own, and
// expects it to fail there with the right words.
func TestHarnessFails(t *testing.T) {
	for i, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestOneFault$", "-test.v")
			cmd.Env = append(os.Environ(), fmt.Sprint("STEPTEST_FAULT=", i))
			out, err := cmd.CombinedOutput()
			if !strings.Contains(string(out), "=== RUN   TestOneFault") {
				t.Fatalf("did not run: %v\n%s", err, out)
			}
			if failed := err != nil; failed != (f.want != "") || !strings.Contains(string(out), f.want) {
				t.Errorf("%v, want ...%s... in\n%s", err, f.want, out)
			}
		})
	}
}

// TestOneFault is what TestHarnessFails runs.
func TestOneFault(t *testing.T) {
	var i int
	if _, err := fmt.Sscan(os.Getenv("STEPTEST_FAULT"), &i); err != nil {
		return // it is only for TestHarnessFails
	}
	t.Chdir(t.TempDir())
	s := named()
	if text := faults[i].change(s, goodCase); text != "" {
		if err := os.Mkdir("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join("testdata", "case.txtar"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	Run(t, s)
}

func TestRemoved(t *testing.T) {
	diff := "--- a/one\n+++ b/one\n@@ -3,4 +3,4 @@\n a\n-b\n-c\n+d\n e\n@@ -9 +9 @@\n-x\n+y\n--- a/two\n+++ b/two\n@@ -1,2 +1 @@\n-z\n a\n"
	want := []app.Pos{{File: "one", Line: 4}, {File: "one", Line: 5}, {File: "one", Line: 9}, {File: "two", Line: 1}}
	if d := cmp.Diff(want, removed(diff)); d != "" {
		t.Error(d)
	}
}
