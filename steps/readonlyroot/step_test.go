package readonlyroot

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

// load gives an application of one file, in which every container was seen to
// write dirs.
func load(t *testing.T, files map[string]string, dirs ...string) *app.App {
	t.Helper()
	content := map[string][]byte{}
	for name, text := range files {
		content[name] = []byte(text)
	}
	a, err := app.LoadFiles("test", content)
	if err != nil || len(a.Workloads) == 0 {
		t.Fatalf("%v, %v", err, a.Problems)
	}
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			a.Seen.Inside(w.ID(), c.Spec.Name).Written = dirs
		}
	}
	return a
}

const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"

// TestTopOfTheTree leaves out what writes into / itself: no volume goes there.
func TestTopOfTheTree(t *testing.T) {
	a := load(t, map[string]string{"pod.yaml": pod}, "/", "/run")
	edits, err := Step.Fix(a)
	if err != nil || len(edits) != 0 {
		t.Errorf("%v, %v", edits, err)
	}
	f := Step.Check(a)
	if len(f) != 1 || !strings.Contains(f[0].Message, "no volume can be mounted") {
		t.Errorf("%+v", f)
	}
}

// TestWrongChoices has what road.yaml says wrongly reported with its place.
func TestWrongChoices(t *testing.T) {
	for choice, want := range map[string]string{
		"{directories: [run]}":   `"run" is not a directory below /`,
		"{directories: ['/']}":   `"/" is not a directory below /`,
		"{sizeLimit: big}":       `sizeLimit "big" is not a size`,
		"{sizeLimit: '-1'}":      `sizeLimit "-1" is not a size`,
		"{directory: [/run]}":    "directory",
		"{directories: {a: /b}}": "road.yaml",
	} {
		a := load(t, map[string]string{"pod.yaml": pod, "road.yaml": "apiVersion: road/v1\nsteps:\n  read-only-root:\n    p: " + choice + "\n"})
		if _, err := Step.Fix(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ...%s...", choice, err, want)
		}
		Step.Check(a) // has nothing to say of it, and does not fall over it
	}
}

func TestLabel(t *testing.T) {
	for dir, want := range map[string]string{
		"/run":                  "run",
		"/var/lib/My.App_2":     "var-lib-my-app-2",
		"/ü":                    "written",
		"/" + long + "/cache/x": strings.Repeat("a", 50) + "-cache-x",
	} {
		if got := label(dir); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
}

var long = strings.Repeat("a", 80)

// TestNamesDiffer has two containers write the same directory of a pod in which
// that name is taken already.
func TestNamesDiffer(t *testing.T) {
	a := load(t, map[string]string{"pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: a, image: i}\n  - {name: b, image: i}\n  volumes:\n  - {name: run, emptyDir: {}}\n  - {name: b-run, emptyDir: {}}\n"}, "/run")
	names := namer(a.Workloads[0])
	var got []string
	for c := range a.Workloads[0].Containers() {
		got = append(got, names(c, "/run"))
	}
	if s := strings.Join(got, " "); s != "a-run b-run-2" {
		t.Error(s)
	}
}

func TestCovered(t *testing.T) {
	for dir, want := range map[string]bool{"/run": true, "/run/x": true, "/runner": false, "/": false} {
		if covered([]string{"/run"}, dir) != want {
			t.Errorf("%s: not %v", dir, want)
		}
	}
}
