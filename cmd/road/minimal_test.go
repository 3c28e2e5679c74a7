package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"road/internal/step"
	"road/internal/walk"
)

// Nothing is left in the demo's images but the application, and it works: by
// itself at 1.0, as anybody runs that one step.
func TestSandboxMinimalImage(t *testing.T) {
	cmd := exec.Command(road(t), "walk", "--only", "minimal-image", "-o", "json")
	cmd.Dir = t.TempDir()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var r walk.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Stops) != 2 || r.Stops[1].Step != "minimal-image" || r.Stops[1].Status != walk.Done {
		t.Fatalf("not the report of that step: %s", out)
	}
	checkWorks(t, r.Stops)
	s := r.Stops[1]
	for _, w := range s.Workloads {
		if w.Status != walk.Done || len(w.Exceptions) > 0 {
			t.Errorf("%s: %s %s %v", w.Name, w.Status, w.Reason, w.Exceptions)
		}
	}
	before := r.Stops[0].Figures
	if before.ImageBytes < 300e6 || s.Figures.ImageBytes > 10e6 || before.Executables < 100 || s.Figures.Executables != 1 {
		t.Errorf("the web server's image: %d bytes and %d programs, then %d and %d", before.ImageBytes, before.Executables, s.Figures.ImageBytes, s.Figures.Executables)
	}
	for _, i := range s.Figures.Images {
		if i.Bytes > 30e6 {
			t.Errorf("%s: %d bytes", i.Name, i.Bytes)
		}
	}
	names := map[string]bool{}
	for _, a := range s.Attacks {
		names[a.Name] = true
		if a.Before.Verdict != step.Succeeded || a.After.Verdict != step.Blocked || a.Alone.Verdict != step.Blocked {
			t.Errorf("%s: %+v, then %+v, alone %+v", a.Name, a.Before, a.After, a.Alone)
		}
		if !strings.Contains(a.After.Evidence, "executable file not found in $PATH") {
			t.Errorf("%s: %q", a.Name, a.After.Evidence)
		}
	}
	for _, want := range []string{"run-shell", "list-files", "living-off-the-land"} {
		if !names[want] {
			t.Errorf("%s was not tried", want)
		}
	}
}
