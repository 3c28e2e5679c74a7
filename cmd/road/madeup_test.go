package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// madeUp is a whole step: pods get a label. Its attack, its text and its check
// are as small as the contract lets them be.
const madeUp = `// Package madeup labels pods.
package madeup

import (
	"context"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/step"
)

// Step is the made-up step.
var Step = &step.Step{
	Name: "made-up", Title: "Put a label on every pod", Explain: "# Put a label on every pod\n\n" +
		"## What changes?\n\n## What does this prevent?\n\n## What can it break?\n\n## How is it proven?\n",
	Refs:  []step.Ref{{Framework: "CIS Kubernetes 1.12", ID: "5.6.1"}},
	Check: func(a *app.App) []step.Finding {
		var out []step.Finding
		for _, w := range a.Workloads {
			if w.Meta.Labels["made"] != "up" {
				out = append(out, step.Finding{Pos: w.Pos(nil), Workload: w.ID(), Message: "pod lacks the label made", Hint: "made: up"})
			}
		}
		return out
	},
	Fix: func(a *app.App) ([]edit.Edit, error) {
		var out []edit.Edit
		for _, w := range a.Workloads {
			out = append(out, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: app.Path{"spec", "template", "metadata", "labels", "made"}, Value: "up"}})
		}
		return out, nil
	},
	Weaken: func(a *app.App) {
		for _, w := range a.Workloads {
			delete(w.Meta.Labels, "made")
		}
	},
	Attacks: []step.Attack{{Name: "read-the-label", Goal: "find a pod without a label", Transport: step.Code, Run: func(context.Context, *sandbox.Scene) (step.Outcome, error) {
		return step.Outcome{Verdict: step.Succeeded, Evidence: "none"}, nil
	}}},
}
`

// A step is its folder, one line in the list and that line's import: nothing else
// of the tree has to know it. In a copy of the tree, the program with one more
// step explains it, checks for it and fixes it.
func TestMadeUpStep(t *testing.T) {
	tree := copyOfTree(t)
	name := filepath.Join(tree, "steps", "madeup", "step.go")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(madeUp), 0o644); err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(tree, "steps", "steps.go")
	b, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(b), "import (\n", "import (\n\t\"road/steps/madeup\"\n", 1)
	text = strings.Replace(text, "\n}\n", "\n\tmadeup.Step, // a label on every pod\n}\n", 1)
	if err := os.WriteFile(list, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "road")
	in(t, tree, 0, "go", "build", "-buildvcs=false", "-o", program, "./cmd/road")
	in(t, tree, 0, "go", "test", "./steps") // the rules of the road
	for command, want := range map[string]string{
		"explain":                      "  made-up  ",
		"explain made-up":              "read-the-label",
		"check demo":                   "pod lacks the label made",
		"fix demo":                     "+        made: up",
		"check -o json demo":           `"made-up"`,
		"__complete explain made":      "made-up",
		"__complete walk --only made-": "made-up",
	} {
		status := 0
		if strings.HasPrefix(command, "check") || strings.HasPrefix(command, "fix") {
			status = 1 // findings
		}
		if out := in(t, tree, status, program, strings.Fields(command)...); !strings.Contains(out, want) {
			t.Errorf("road %s does not show %q:\n%s", command, want, out)
		}
	}
}

// in runs a program in a folder, wants an exit status, and gives what it said.
func in(t *testing.T, dir string, status int, program string, args ...string) string {
	t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != status {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
	return string(out)
}

// copyOfTree copies the module's files, without what git and builds leave there.
func copyOfTree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	top := filepath.Join("..", "..")
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if rel == ".git" || rel == "bin" {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		if !d.Type().IsRegular() || rel == ".git" {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
