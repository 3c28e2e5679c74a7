package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"road/docs"
	"road/internal/step"
	"road/internal/walk"
	"road/steps"
)

// The whole road, walked once as anybody walks it.
func TestSandboxRoad(t *testing.T) {
	program := road(t)
	before := remains(t)
	cmd := exec.Command(program, "walk", "-o", "json")
	cmd.Dir = t.TempDir() // the demo is inside the program
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var r walk.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if r.Schema != walk.Schema || len(r.Stops) != len(steps.All)+1 || len(r.Matrix.Stops) != len(r.Stops) {
		t.Fatalf("not the report of the whole road: %s", out)
	}
	t.Run("stops", func(t *testing.T) { checkStops(t, r.Stops) })
	t.Run("first chapter", func(t *testing.T) {
		checkDiff(t, r.Stops[1].Diff)
		checkAttacks(t, r.Stops[1].Attacks)
		checkProcess(t, r.Stops[1])
	})
	for i, s := range steps.All {
		t.Run(s.Name, func(t *testing.T) { checkStep(t, s, r.Stops[i+1]) })
	}
	t.Run("matrix", func(t *testing.T) { checkMatrix(t, &r) })
	t.Run("record", func(t *testing.T) { checkRecord(t, &r) })
	t.Run("end", func(t *testing.T) { checkEnd(t, &r) })
	if bytes.Contains(out, []byte("only-for-the-demo")) || bytes.Contains(stderr.Bytes(), []byte("only-for-the-demo")) {
		t.Error("the report holds the password of Redis")
	}
	sameRemains(t, before)
}

// checkStops wants every step done, on every pod, with the application working
// and the time of each part told.
func checkStops(t *testing.T, stops []*walk.Stop) {
	t.Helper()
	checkWorks(t, stops)
	for i, s := range stops {
		if s.Number != i+1 || s.Status != walk.Done || i > 0 && s.Step != steps.All[i-1].Name {
			t.Errorf("stop %d is %d.0 %s, %s %s", i+1, s.Number, s.Step, s.Status, s.Reason)
		}
		for _, w := range s.Workloads {
			if w.Status == walk.LeftOut {
				t.Errorf("%d.0: %s was left out: %s", s.Number, w.Name, w.Reason)
			}
		}
		if i > 0 && s.Diff == "" {
			t.Errorf("%d.0 changed nothing", s.Number)
		}
		if s.Parts.Start <= 0 || s.Parts.Checks <= 0 || s.Parts.Attacks <= 0 || s.Seconds <= 0 {
			t.Errorf("%d.0: times %+v of %f s", s.Number, s.Parts, s.Seconds)
		}
	}
}

// checkStep wants each attack of a step that it stops to be blocked after it, by
// this stop or the one before that is named, and by 1.0 plus only this step.
// Code acts on both pods.
func checkStep(t *testing.T, s *step.Step, stop *walk.Stop) {
	t.Helper()
	for _, a := range s.Attacks {
		var on []string
		for _, r := range stop.Attacks {
			if r.Name != a.Name {
				continue
			}
			kind, _, _ := strings.Cut(r.Target, "/")
			on = append(on, kind)
			if a.Open != "" {
				continue
			}
			if r.After.Verdict != step.Blocked || r.Alone.Verdict != step.Blocked || r.ClosedBy < 2 || r.ClosedBy > stop.Number {
				t.Errorf("%s on %s: after it %s (%s%s), alone %s (%s%s), closed by %d.0", a.Name, r.Target, r.After.Verdict, r.After.Evidence, r.After.Reason,
					r.Alone.Verdict, r.Alone.Evidence, r.Alone.Reason, r.ClosedBy)
			}
			if r.After.Evidence == "" {
				t.Errorf("%s on %s: nothing shows that it is blocked", a.Name, r.Target)
			}
		}
		want := []string{"deployment", "statefulset"}
		if a.Transport == step.Command || a.Transport == step.Request {
			want = want[:1] // only the web server has the hole
		}
		if a.Transport != step.Other && !slices.Equal(on, want) || len(on) == 0 {
			t.Errorf("%s acts on %v, want %v", a.Name, on, want)
		}
	}
}

// checkMatrix wants every attack of the road at every stop, each cell with what
// shows it, or why it is unproven, or the stop that turned it.
func checkMatrix(t *testing.T, r *walk.Report) {
	t.Helper()
	attacks := 0
	for _, s := range steps.All {
		attacks += len(s.Attacks)
	}
	if attacks < 35 || len(r.Matrix.Rows) != attacks {
		t.Errorf("the matrix has %d rows, the road %d attacks", len(r.Matrix.Rows), attacks)
	}
	for _, row := range r.Matrix.Rows {
		if len(row.Cells) != len(r.Stops) || len(row.Details) != len(r.Stops) {
			t.Fatalf("%s has %d cells and %d details", row.Attack, len(row.Cells), len(row.Details))
		}
		if row.Cells[0] != step.Succeeded {
			t.Errorf("%s at 1.0: %s %s", row.Attack, row.Cells[0], row.Details[0].Reason)
		}
		turned := 0
		for i, c := range row.Details {
			if err := faultOf(c, row, i+1, &turned); err != "" {
				t.Errorf("%s at %d.0: %s", row.Attack, i+1, err)
			}
		}
	}
}

// faultOf says what is wrong with a cell. turned is the first stop at which the
// row was blocked.
func faultOf(c walk.Cell, row walk.Row, stop int, turned *int) string {
	switch c.Verdict {
	case step.Succeeded:
		if c.Evidence == "" {
			return "nothing shows that it succeeded"
		}
		if *turned > 0 && row.Open == "" {
			return fmt.Sprintf("succeeds again; %d.0 had closed it", *turned)
		}
	case step.Blocked:
		if *turned == 0 {
			*turned = stop
		}
		if c.ClosedBy != *turned || c.Evidence == "" {
			return fmt.Sprintf("blocked by %d.0, want %d.0: %q", c.ClosedBy, *turned, c.Evidence)
		}
	case step.Unproven:
		return "unproven: " + c.Reason
	default:
		return fmt.Sprintf("verdict %q", c.Verdict)
	}
	return ""
}

// checkRecord wants the chapters to show what a walk shows today.
func checkRecord(t *testing.T, r *walk.Report) {
	t.Helper()
	verdicts := func(r *walk.Report) map[string][]step.Verdict {
		out := map[string][]step.Verdict{}
		for _, row := range r.Matrix.Rows {
			out[row.Attack] = row.Cells
		}
		return out
	}
	if diff := cmp.Diff(verdicts(r), verdicts(docs.Record())); diff != "" {
		t.Errorf("docs/walk.json is stale (- this walk, + the record): run make docs\n%s", diff)
	}
}

// checkEnd wants no attack to succeed at the end but those that the road leaves
// open.
func checkEnd(t *testing.T, r *walk.Report) {
	t.Helper()
	for _, row := range r.Matrix.Rows {
		if row.Open == "" && row.Cells[len(row.Cells)-1] == step.Succeeded {
			t.Errorf("%s succeeds at the end on %s: %s", row.Attack, row.Details[len(row.Details)-1].Target, row.Details[len(row.Details)-1].Evidence)
		}
	}
	if short := r.Shortfalls(false); len(short) > 0 {
		t.Errorf("falls short: %v", short)
	}
}

func checkWorks(t *testing.T, stops []*walk.Stop) {
	t.Helper()
	for _, s := range stops {
		names := map[string]bool{}
		for _, c := range s.Works.Checks {
			if names[c.Name] = true; !c.OK {
				t.Errorf("%d.0: check %s: %s", s.Number, c.Name, c.Detail)
			}
		}
		if s.Works.Verdict != "works" || !names["counter"] || !names["kept"] {
			t.Errorf("%d.0: %+v", s.Number, s.Works)
		}
	}
}

// checkDiff wants what the seed's chapter changes.
func checkDiff(t *testing.T, diff string) {
	t.Helper()
	for _, want := range []string{
		"+RUN chgrp -R 0 . && chmod -R g+rwX .\n", "+USER 5678\n",
		"+      securityContext:\n+        runAsGroup: 4444\n+        runAsUser: 1234\n+        runAsNonRoot: true\n",
		"-        image: road-to-secure-kubernetes:1\n+        image: road-to-secure-kubernetes:2\n",
	} {
		if !strings.Contains(diff, want) {
			t.Errorf("the diff lacks %q:\n%s", want, diff)
		}
	}
}

// checkAttacks wants every attack of the step succeeded before and blocked after,
// with the lines that show it.
func checkAttacks(t *testing.T, attacks []*walk.AttackResult) {
	t.Helper()
	want := map[string][2]string{ // what the evidence before and after must hold
		"install-package":         {"/usr/bin/ssh", "exit status 100"},
		"overwrite-system-binary": {"attacker's bytes", "Permission denied"},
		"read-shadow":             {"root:", "Permission denied"},
		"host-root-file":          {"uid 0 ", "uid 1234 "},
		"drop-in-dev":             {"/dev/", "Permission denied"},
	}
	seen := map[string]bool{}
	for _, a := range attacks {
		for side, c := range map[string]walk.Cell{"before": a.Before, "after": a.After, "alone": a.Alone} {
			verdict := step.Blocked
			if side == "before" {
				verdict = step.Succeeded
			}
			if c.Verdict != verdict {
				t.Errorf("%s on %s %s: %s %s %s", a.Name, a.Target, side, c.Verdict, c.Evidence, c.Reason)
			}
		}
		if !strings.HasPrefix(a.Target, "deployment/") {
			continue
		}
		seen[a.Name] = true
		if w := want[a.Name]; !strings.Contains(a.Before.Evidence, w[0]) || !strings.Contains(a.After.Evidence, w[1]) {
			t.Errorf("%s: evidence %q, then %q", a.Name, a.Before.Evidence, a.After.Evidence)
		}
		if a.Name == "install-package" && strings.Count(a.After.Evidence, "E: ") != 2 {
			t.Errorf("install-package: want both lines of apt: %q", a.After.Evidence)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("%s was not tried on the web server", name)
		}
	}
}

// checkProcess wants the server's user the same inside and outside, and its
// process number another.
func checkProcess(t *testing.T, s *walk.Stop) {
	t.Helper()
	if len(s.Evidence) == 0 {
		t.Fatal("no evidence beside the attacks")
	}
	user, pid := map[string]string{}, map[string]string{}
	for line := range strings.Lines(s.Evidence[0].Text) {
		if f := strings.Fields(line); len(f) > 3 && (f[0] == "inside" || f[0] == "outside") {
			user[f[0]], pid[f[0]] = f[1], f[2]
		}
	}
	if user["inside"] != "1234" || user["outside"] != "1234" || pid["inside"] != "1" || pid["outside"] == "1" || pid["outside"] == "" {
		t.Errorf("users %v and processes %v in\n%s", user, pid, s.Evidence[0].Text)
	}
}
