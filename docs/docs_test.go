package docs

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"road/internal/step"
	"road/internal/walk"
	"road/steps"
)

var (
	update = flag.Bool("update", false, "write the chapters")
	record = flag.String("record", "", "with -update: a walk's JSON report to record first")
	served = flag.String("servers", "", "with -update: a folder of JSON reports of walks of examples/servers to record first")
)

// pages are all that is written, by file name.
func pages(r *walk.Report) map[string]string {
	out := map[string]string{"README.md": Index(r, steps.All), "servers.md": ServersPage(Servers(), steps.All)}
	for i, s := range steps.All {
		out[s.Name+".md"] = "<!-- Written from the step " + s.Name + " and a recorded walk by make docs: change it there. -->\n\n" + Chapter(r, i+2, s)
	}
	return out
}

func TestChapters(t *testing.T) {
	if len(steps.All) == 0 {
		t.Fatal("the road has no steps")
	}
	if *update && *record != "" {
		reduce(t, *record)
	}
	if *update && *served != "" {
		summarize(t, *served)
	}
	r := Record()
	want := pages(r)
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
		t.Errorf("stale (- as it should be, + as it is): go test ./docs -update writes it, make docs after a real walk\n%s", diff)
	}
}

// reduce keeps of a walk's report what chapters show. Times and the notes of one
// machine are no part of it.
func reduce(t *testing.T, name string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var r walk.Report
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.Schema != walk.Schema || len(r.Stops) < 2 || len(r.Matrix.Rows) == 0 {
		t.Fatalf("%s is no report of a walk", name)
	}
	r.Notes, r.Problems = nil, nil
	for _, s := range r.Stops {
		s.Parts, s.Seconds, s.Findings = walk.Parts{}, 0, nil
		for _, a := range s.Attacks {
			for _, c := range []*walk.Cell{&a.Before, &a.After, &a.Alone} {
				c.Target = ""
			}
			a.Weakened = nil
		}
	}
	for _, row := range r.Matrix.Rows {
		for i := range row.Details {
			if c := &row.Details[i]; i > 0 {
				*c = walk.Cell{Verdict: c.Verdict, ClosedBy: c.ClosedBy, Reason: c.Reason, Target: c.Target}
			}
		}
	}
	if recorded, err = json.MarshalIndent(&r, "", " "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("walk.json", append(recorded, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// summarize records the walks of the servers.
func summarize(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s holds no report: %v", dir, err)
	}
	var list []Server
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r walk.Report
		if err := json.Unmarshal(b, &r); err != nil || r.Schema != walk.Schema || len(r.Stops) != len(steps.All)+1 {
			t.Fatalf("%s is no report of a whole walk: %v", name, err)
		}
		list = append(list, Summarize(&r))
	}
	if walked, err = json.MarshalIndent(list, "", " "); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("servers.json", append(walked, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
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

// The record holds verdicts and lines of a walk, and nothing of the machine that
// it was recorded on: no path of a temporary folder, no package mirror.
func TestRecord(t *testing.T) {
	r := Record()
	if r.Schema != walk.Schema || len(r.Stops) < 2 {
		t.Fatal("no walk is recorded")
	}
	for i, row := range r.Matrix.Rows {
		if len(row.Cells) != len(r.Matrix.Stops) {
			t.Errorf("row %d has %d cells", i, len(row.Cells))
		}
	}
	for _, never := range []string{"debian.org", "http://deb", "/var/lib/road", "/tmp/Test", "/tmp/go-", "/dev/shm/disk", "only-for-the-demo"} {
		if strings.Contains(string(recorded)+string(walked), never) {
			t.Errorf("the record names %s", never)
		}
	}
}

// parts of the README are written as the chapters are.
func TestReadme(t *testing.T) {
	const name = "../README.md"
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want := string(b)
	for part, text := range map[string]string{"session": Session(Record(), "install-package"), "matrix": Matrix(Record()), "road": Table("docs/", Record(), steps.All)} {
		begin, end := "<!-- "+part+" -->\n", "<!-- end of "+part+" -->\n"
		head, rest, ok := strings.Cut(want, begin)
		_, tail, closed := strings.Cut(rest, end)
		if !ok || !closed {
			t.Fatalf("README.md lacks %q and %q", begin, end)
		}
		want = head + begin + "\n" + text + "\n" + end + tail
	}
	if *update && want != string(b) {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Errorf("stale (- as it should be, + as it is): run go test ./docs -update\n%s", diff)
	}
}

// The table claims no more than the record shows.
func TestTableShowsWhatWasProven(t *testing.T) {
	road := []*step.Step{{Name: "a", Title: "Do a", Attacks: []step.Attack{{Name: "held-off"}, {Name: "in-doubt"}, {Name: "left-open", Open: "it is"}, {Name: "not-tried"}}}}
	r := &walk.Report{Matrix: walk.Matrix{Stops: []int{1, 2}, Rows: []walk.Row{
		{Attack: "held-off", Cells: []step.Verdict{step.Succeeded, step.Blocked}},
		{Attack: "in-doubt", Cells: []step.Verdict{step.Succeeded, step.Unproven}},
	}}}
	if got := Table("", r, road); !strings.Contains(got, "| Do a | held off; unproven: in doubt, not tried |") {
		t.Errorf("got %s", got)
	}
}
