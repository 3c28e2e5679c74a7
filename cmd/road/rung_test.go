package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"road/internal/step"
	"road/internal/walk"
)

// Each image keeps as much of its base as its application needs: a server with
// plug-ins and an interpreter whole packages, a script its shell and what that
// runs, and a program that asks for what nobody sees it open a whole base. What
// stays is said, and the attacks find it.
func TestSandboxMinimalRungs(t *testing.T) {
	program, dir := road(t), t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/minimal")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir+"/script/start.sh", 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "walk", dir, "--only", "minimal-image", "-o", "json")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 { // shells stay
		t.Fatalf("%v, want exit status 1\n%s", err, stderr.String())
	}
	var r walk.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Stops) != 2 || r.Stops[1].Status != walk.Done {
		t.Fatalf("not the report of that step: %s", out)
	}
	s := r.Stops[1]
	if s.Works.Verdict != "works" || len(s.Works.Checks) != 4 {
		t.Errorf("%+v", s.Works)
	}
	for name, want := range map[string][]string{
		"deployment/web":    nil,
		"deployment/api":    {"keeps python3"},
		"deployment/script": {"keeps a shell", "keeps perl"},
		"deployment/old":    {"needs its whole base but for the package manager; without: ", "keeps the shell and the tools", "keeps perl"},
	} {
		w := result(s.Workloads, name)
		if w.Status != walk.Done || len(w.Exceptions) != len(want) {
			t.Errorf("%s: %s %s %q, want %q", name, w.Status, w.Reason, w.Exceptions, want)
			continue
		}
		for i, e := range w.Exceptions {
			if !strings.HasPrefix(e, want[i]) {
				t.Errorf("%s: %q, want %q", name, e, want[i])
			}
		}
	}
	if why := result(s.Workloads, "deployment/old").Exceptions[0]; !strings.Contains(why, "part of the base has gone") {
		t.Errorf("the reason has nothing of the log: %s", why)
	}
	for _, a := range s.Attacks {
		name := a.Name + " on " + strings.Fields(a.Target)[0]
		want := step.Blocked
		switch name {
		case "run-shell on deployment/script", "run-shell on deployment/old", "list-files on deployment/old",
			"living-off-the-land on deployment/script", "living-off-the-land on deployment/old": // perl prints files
			want = step.Succeeded
		}
		if a.Before.Verdict != step.Succeeded || a.After.Verdict != want {
			t.Errorf("%s: %s, then %s %s %s; want %s", name, a.Before.Verdict, a.After.Verdict, a.After.Evidence, a.After.Reason, want)
		}
	}
	if len(s.Attacks) != 12 {
		t.Errorf("%d attacks, want 3 on each of 4", len(s.Attacks))
	}
}

// result gives that of one workload.
func result(list []walk.WorkloadResult, name string) walk.WorkloadResult {
	for _, w := range list {
		if w.Name == name {
			return w
		}
	}
	return walk.WorkloadResult{}
}
