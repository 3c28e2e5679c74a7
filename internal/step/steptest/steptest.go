// Package steptest is the harness that every step of the road is tested with.
// A step's test is one line; what is tested stands in testdata/*.txtar, one case
// a file: the story as the comment, then the application's files, and behind
// them
//
//	findings    what Check says, one line each (golden)
//	fix.diff    what Plan changes, as a unified diff (golden)
//	stays       what Check still says after Fix, because nothing here can mend it
//	seen.json   an app.Seen, for a case after a run
//	stop        the number of the stop that is made
//	crlf        names of files whose lines end in CR LF
//
// "go test -update" rewrites the golden sections. In them CR is shown as "␍".
package steptest

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the golden sections of testdata/*.txtar")

// Run tests s with every case in testdata. Besides the golden sections it holds
// the contract: Check is repeatable and in order; after Fix it reports only what
// needs a run, and nothing where the case has a full seen.json; a second Fix
// changes nothing; lines that no edit names stay; Weaken brings findings back.
// No case at all is a failure.
func Run(t *testing.T, s *step.Step) {
	t.Helper()
	if err := step.Validate([]*step.Step{s}); err != nil {
		t.Error(err)
	}
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no case in testdata/*.txtar (%v)", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { runFile(t, s, name) })
	}
}

// runFile tests one case, or rewrites its golden sections.
func runFile(t *testing.T, s *step.Step, name string) {
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	archive := txtar.Parse(data)
	if strings.TrimSpace(string(archive.Comment)) == "" {
		t.Error("the case has no story: say above the first file what it is about")
	}
	c, err := newCase(name, archive)
	if err != nil {
		t.Fatal(err)
	}
	findings, diff := c.run(t, s)
	if *update {
		c.rewrite(t, name, archive, findings, diff)
		return
	}
	if d := cmp.Diff(c.golden["findings"], findings); d != "" {
		t.Errorf("findings (-want +got):\n%s", d)
	}
	if d := cmp.Diff(c.golden["fix.diff"], diff); d != "" {
		t.Errorf("fix.diff (-want +got):\n%s", d)
	}
}

// A testCase is one txtar file, taken apart.
type testCase struct {
	name   string
	files  edit.Files
	golden map[string]string
	seen   *app.Seen // nil where the case has none
	stop   int
	stays  string // what Check says after Fix, where the case has such a section
}

// newCase takes an archive apart.
func newCase(name string, archive *txtar.Archive) (*testCase, error) {
	c := &testCase{name: strings.TrimSuffix(filepath.Base(name), ".txtar"), files: edit.Files{}, golden: map[string]string{}}
	var crlf []string
	for _, f := range archive.Files {
		switch f.Name {
		case "findings", "fix.diff", "stays":
			c.golden[f.Name] = string(f.Data)
		case "seen.json":
			c.seen = &app.Seen{}
			d := json.NewDecoder(bytes.NewReader(f.Data))
			d.DisallowUnknownFields()
			if err := d.Decode(c.seen); err != nil {
				return nil, fmt.Errorf("seen.json: %w", err)
			}
		case "stop":
			n, err := strconv.Atoi(strings.TrimSpace(string(f.Data)))
			if err != nil {
				return nil, fmt.Errorf("stop: %w", err)
			}
			c.stop = n
		case "crlf":
			crlf = strings.Fields(string(f.Data))
		default:
			c.files[f.Name] = f.Data
		}
	}
	for _, name := range crlf {
		if c.files[name] == nil {
			return nil, fmt.Errorf("crlf: no file %q", name)
		}
		c.files[name] = bytes.ReplaceAll(c.files[name], []byte("\n"), []byte("\r\n"))
	}
	return c, nil
}

// load gives a fresh application of files with what the case knows of it.
func (c *testCase) load(t *testing.T, files edit.Files) *app.App {
	t.Helper()
	a, err := app.LoadFiles(c.name, files)
	if err != nil {
		t.Fatal(err)
	}
	if c.seen != nil {
		a.Seen = c.seen
	}
	a.Stop = c.stop
	return a
}

// run does what the contract of a step says and gives the two golden texts.
func (c *testCase) run(t *testing.T, s *step.Step) (findings, diff string) {
	a := c.load(t, c.files)
	before := s.Check(a)
	if again := s.Check(a); !reflect.DeepEqual(before, again) {
		t.Errorf("Check is not repeatable:\n%s", cmp.Diff(before, again))
	}
	sorted := slices.Clone(before)
	if step.Sort(sorted); !reflect.DeepEqual(before, sorted) {
		t.Errorf("findings are not in the order of files and lines:\n%s", cmp.Diff(sorted, before))
	}
	findings = text(before, a.Problems)

	edits, err := step.Plan(s, a)
	if err != nil {
		return findings, visible("error: " + err.Error() + "\n")
	}
	leftOut := c.spared(t, s, a)
	changed, refused := edit.Apply(c.files, step.Remaining(a, edits, leftOut))
	var b strings.Builder
	for _, r := range refused {
		fmt.Fprintf(&b, "refused: %v (%s)\n", r, r.Hint)
	}
	after := edit.Files{}
	for name, data := range c.files {
		after[name] = data
	}
	for name, data := range changed {
		after[name] = data
	}
	d := edit.Diff(c.files, after)
	b.WriteString(d)
	c.checkUntouched(t, a, edits, d)
	c.checkFixed(t, s, after, before, a.Problems, refused)
	return findings, visible(b.String())
}

// spared says whom road.yaml excepts from s, on a day when no exception has ended.
func (c *testCase) spared(t *testing.T, s *step.Step, a *app.App) map[string]string {
	list, err := a.Exceptions()
	if err != nil {
		t.Fatal(err)
	}
	return step.Spared(list, s, a, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
}

// checkFixed holds what the contract says of the fixed application.
func (c *testCase) checkFixed(t *testing.T, s *step.Step, files edit.Files, before []step.Finding, problems []app.Problem, refused []*edit.Refused) {
	inRefused := func(f step.Finding) bool {
		return slices.ContainsFunc(refused, func(r *edit.Refused) bool { return r.File == f.File })
	}
	fixed := c.load(t, files)
	for _, p := range fixed.Problems {
		if !slices.ContainsFunc(problems, func(q app.Problem) bool { return p.File == q.File && p.Message == q.Message }) {
			t.Errorf("after Fix %v", p)
		}
	}
	rest := s.Check(fixed)
	leftOut := c.spared(t, s, fixed)
	if stays, ok := c.golden["stays"]; ok {
		c.stays = text(rest, nil)
		if d := cmp.Diff(stays, c.stays); !*update && d != "" || len(rest) == 0 {
			t.Errorf("stays (-want +got):\n%s", d)
		}
		rest = nil
	}
	for _, f := range rest {
		if inRefused(f) {
			continue
		}
		if c.seen != nil || !f.NeedsRun {
			t.Errorf("after Fix: %s", text([]step.Finding{f}, nil))
		}
	}
	again, err := step.Plan(s, fixed)
	if err != nil {
		t.Errorf("a second Fix: %v", err)
	}
	for _, e := range step.Remaining(fixed, again, leftOut) {
		if !slices.ContainsFunc(refused, func(r *edit.Refused) bool { return r.File == e.File }) {
			t.Errorf("a second Fix makes an edit: %s", describe(e))
		}
	}
	s.Weaken(fixed)
	weak := map[string]bool{}
	for _, f := range s.Check(fixed) {
		weak[f.File] = true
	}
	if len(weak) == 0 && len(fixed.Workloads) > 0 {
		t.Error("Weaken takes nothing away: Check finds nothing after it")
	}
	for _, f := range before {
		if !weak[f.File] && !inRefused(f) {
			t.Errorf("after Weaken Check finds nothing in %s", f.File)
		}
	}
}

// checkUntouched says which lines went away although no edit names them.
func (c *testCase) checkUntouched(t *testing.T, a *app.App, edits []edit.Edit, diff string) {
	named := map[app.Pos]bool{}
	for _, e := range edits {
		switch {
		case e.Lines != nil:
			for i := range e.Lines.Replace {
				named[app.Pos{File: e.File, Line: e.Lines.After + 1 + i}] = true
			}
		case e.Set != nil:
			for _, o := range a.Objects {
				if o.File == e.File && o.Doc == e.Set.Doc {
					named[app.Pos{File: e.File, Line: o.Pos(e.Set.Path).Line}] = true
					for i := 0; o.Has(e.Set.Path.Join(i)); i++ { // of a list that is replaced
						named[app.Pos{File: e.File, Line: o.Pos(e.Set.Path.Join(i)).Line}] = true
					}
				}
			}
		}
	}
	for _, p := range removed(diff) {
		if !named[p] {
			t.Errorf("%v went away, and no edit names that line", p)
		}
	}
}

// removed gives the places of the lines that a unified diff takes away.
func removed(diff string) []app.Pos {
	var out []app.Pos
	var file string
	line := 0
	for l := range strings.Lines(diff) {
		switch {
		case strings.HasPrefix(l, "--- a/"):
			file = strings.TrimSpace(strings.TrimPrefix(l, "--- a/"))
		case strings.HasPrefix(l, "@@ -"):
			number, _, _ := strings.Cut(strings.TrimPrefix(l, "@@ -"), ",")
			number, _, _ = strings.Cut(number, " ")
			line, _ = strconv.Atoi(number)
		case strings.HasPrefix(l, "-") && !strings.HasPrefix(l, "--- "):
			out = append(out, app.Pos{File: file, Line: line})
			line++
		case strings.HasPrefix(l, " "):
			line++
		}
	}
	return out
}

// describe shows an edit in one line.
func describe(e edit.Edit) string {
	switch {
	case e.Set != nil:
		return fmt.Sprintf("%s: %v = %v", e.File, e.Set.Path, e.Set.Value)
	case e.Lines != nil:
		return fmt.Sprintf("%s:%d: %q", e.File, e.Lines.After, e.Lines.Text)
	}
	return e.File + ": new file"
}

// text shows findings, and the files that were passed by, one line each.
func text(findings []step.Finding, problems []app.Problem) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%v: %s (%s)", f.Pos, f.Message, f.Hint)
		if f.Workload != "" {
			fmt.Fprintf(&b, " [%s]", strings.TrimSpace(f.Workload+" "+f.Container))
		}
		if f.NeedsRun {
			b.WriteString(" needs a run")
		}
		b.WriteByte('\n')
	}
	for _, p := range problems {
		fmt.Fprintf(&b, "passed by: %v\n", p)
	}
	return visible(b.String())
}

// visible makes what a txtar file cannot hold visible.
func visible(s string) string { return strings.ReplaceAll(s, "\r", "␍") }

// rewrite puts the golden sections into the case's file.
func (c *testCase) rewrite(t *testing.T, name string, archive *txtar.Archive, findings, diff string) {
	sections := []struct{ name, data string }{{"findings", findings}, {"fix.diff", diff}}
	if _, ok := c.golden["stays"]; ok {
		sections = append(sections, struct{ name, data string }{"stays", c.stays})
	}
	for _, g := range sections {
		i := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == g.name })
		if i < 0 {
			archive.Files = append(archive.Files, txtar.File{Name: g.name})
			i = len(archive.Files) - 1
		}
		archive.Files[i].Data = []byte(g.data)
	}
	if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}
