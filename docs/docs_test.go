// Package docs holds the chapters as files, one a step, written from what each
// step says of itself. Its test says when they are stale and, with -update,
// writes them.
package docs

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"road/internal/step"
	"road/steps"
)

var update = flag.Bool("update", false, "write the chapters")

func TestChapters(t *testing.T) {
	if len(steps.All) == 0 {
		t.Fatal("the road has no steps")
	}
	want := map[string]string{}
	for i, s := range steps.All {
		want[s.Name+".md"] = chapter(i+2, s)
	}
	if *update {
		write(t, want)
	}
	got := map[string]string{}
	for _, name := range chapters(t) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(b)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("stale (- as it should be, + as it is): run make docs\n%s", diff)
	}
}

// chapter is what one step says of itself: its explanation, then the facts that
// the program acts by.
func chapter(number int, s *step.Step) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- Written from the step %s by make docs: change it there. -->\n\n", s.Name)
	fmt.Fprintf(&b, "%s\n\n", strings.TrimSpace(s.Explain))
	fmt.Fprintf(&b, "## Attacks\n\nThe step `%s` leads to stop %d.0. Run them with `road walk --only %s`.\n\n", s.Name, number, s.Name)
	b.WriteString("| attack | the attacker's goal | acts by | stopped by this step |\n|---|---|---|---|\n")
	for _, a := range s.Attacks {
		stopped := "yes"
		if a.Open != "" {
			stopped = "no: " + a.Open
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", a.Name, a.Goal, a.Transport, stopped)
	}
	b.WriteString("\n## Where others ask for it\n\n")
	for _, r := range s.Refs {
		fmt.Fprintf(&b, "- %s %s\n", r.Framework, r.ID)
	}
	return b.String()
}

// chapters gives the names of the files that are there.
func chapters(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// write makes the folder hold these files and no other chapter.
func write(t *testing.T, files map[string]string) {
	t.Helper()
	for _, name := range chapters(t) {
		if _, ok := files[name]; !ok {
			if err := os.Remove(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// The README's table links the chapters of the steps that are there, in the
// order of the road, and promises no other.
func TestReadmeTable(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var linked []string
	for line := range strings.Lines(string(readme)) {
		if _, rest, ok := strings.Cut(line, "](docs/"); ok && strings.HasPrefix(line, "|") {
			name, _, _ := strings.Cut(rest, ".md)")
			linked = append(linked, name)
		}
	}
	var there []string
	for _, s := range steps.All {
		there = append(there, s.Name)
	}
	if !slices.Equal(linked, there) {
		t.Errorf("README.md links the chapters %q, the road has %q", linked, there)
	}
}
