package edit

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the cases under testdata with what comes out")

// A jsonEdit is one edit as the cases write it: a Set unless it has Text or
// Replace (Lines) or Create.
type jsonEdit struct {
	File    string
	Doc     int
	Path    []any
	Value   json.RawMessage
	Before  string
	Comment string
	After   *int
	Replace int
	Text    string
	Create  *string
}

func (j jsonEdit) edit(t *testing.T) Edit {
	t.Helper()
	e := Edit{File: j.File}
	switch {
	case j.Create != nil:
		e.Create = []byte(*j.Create)
	case j.After != nil:
		e.Lines = &Lines{*j.After, j.Replace, j.Text}
	default:
		e.Set = &Set{Doc: j.Doc, Before: j.Before, Comment: j.Comment, Value: ordered(t, j.Value)}
		for _, p := range j.Path {
			if f, ok := p.(float64); ok {
				p = int(f)
			}
			e.Set.Path = append(e.Set.Path, p)
		}
	}
	return e
}

// ordered decodes JSON into the values that a Set takes, keeping keys in order.
func ordered(t *testing.T, raw []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var read func() any
	read = func() any {
		tok, err := d.Token()
		if err != nil {
			t.Fatalf("value %s: %v", raw, err)
		}
		switch tok := tok.(type) {
		case json.Number:
			if i, err := tok.Int64(); err == nil {
				return i
			}
			f, _ := tok.Float64()
			return f
		case json.Delim:
			if tok == '[' {
				list := []any{}
				for d.More() {
					list = append(list, read())
				}
				d.Token()
				return list
			}
			m := Map{}
			for d.More() {
				k := read().(string)
				m = append(m, Field{k, read()})
			}
			d.Token()
			return m
		default:
			return tok
		}
	}
	return read()
}

// TestCases runs every case under testdata: the files below before/, the edits,
// and the diff and refusals that must come out. A file called crlf/x has CRLF
// line ends, one called bare/x no last line break, in the edits as well.
func TestCases(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) { runCase(t, name) })
	}
}

func runCase(t *testing.T, name string) {
	ar, err := txtar.ParseFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before := Files{}
	var edits []Edit
	want := map[string]string{}
	for _, f := range ar.Files {
		if file, ok := strings.CutPrefix(f.Name, "before/"); ok {
			before[file] = odd(file, f.Data)
		} else if f.Name == "edits.json" {
			var js []jsonEdit
			if err := json.Unmarshal(f.Data, &js); err != nil {
				t.Fatal(err)
			}
			for _, j := range js {
				edits = append(edits, j.edit(t))
			}
		} else {
			want[f.Name] = string(f.Data)
		}
	}
	if len(edits) == 0 {
		t.Fatal("the case has no edits")
	}
	changed, refused := Apply(before, edits)
	after := Files{}
	for n, b := range before {
		after[n] = b
	}
	for n, b := range changed {
		after[n] = b
	}
	got := map[string]string{}
	if d := Diff(before, after); d != "" {
		got["diff"] = visible(d)
	}
	for _, r := range refused {
		got["refused"] += fmt.Sprintf("%s (%s)\n", r.Error(), r.Hint)
	}
	if *update {
		rewrite(t, name, ar, got)
		return
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	patches(t, before, after)
	again, _ := Apply(after, editsOnce(edits))
	for n, b := range again {
		t.Errorf("a second time changes %s again:\n%s", n, Diff(Files{n: after[n]}, Files{n: b}))
	}
}

// editsOnce are the edits that change nothing when they are done again.
func editsOnce(edits []Edit) (once []Edit) {
	for _, e := range edits {
		if e.Set != nil && e.Set.Value != nil {
			once = append(once, e)
		}
	}
	return once
}

func odd(file string, b []byte) []byte {
	if strings.HasPrefix(file, "crlf/") {
		b = bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n"))
	}
	if strings.Contains(file, "bare") {
		b = bytes.TrimRight(b, "\r\n")
	}
	return b
}

func visible(d string) string { return strings.ReplaceAll(d, "\r", "␍") }

func rewrite(t *testing.T, name string, ar *txtar.Archive, got map[string]string) {
	t.Helper()
	out := &txtar.Archive{Comment: ar.Comment}
	for _, f := range ar.Files {
		if f.Name != "diff" && f.Name != "refused" {
			out.Files = append(out.Files, f)
		}
	}
	for _, n := range []string{"diff", "refused"} {
		if got[n] != "" {
			out.Files = append(out.Files, txtar.File{Name: n, Data: []byte(got[n])})
		}
	}
	if err := os.WriteFile(name, txtar.Format(out), 0o644); err != nil {
		t.Fatal(err)
	}
}

// patches checks that patch and git make the same of the diff as Apply.
func patches(t *testing.T, before, after Files) {
	t.Helper()
	d := Diff(before, after)
	if d == "" {
		return
	}
	for _, tool := range [][]string{{"patch", "-p1", "--binary", "-s"}, {"git", "apply", "-"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			t.Logf("without %s: %v", tool[0], err)
			continue
		}
		dir := t.TempDir()
		if err := Write(dir, nil); err != nil {
			t.Fatal(err)
		}
		for n, b := range before {
			os.MkdirAll(filepath.Dir(filepath.Join(dir, n)), 0o755)
			if err := os.WriteFile(filepath.Join(dir, n), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(tool[0], tool[1:]...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(d)
		cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s\n%s", tool, err, out, d)
			continue
		}
		for n, b := range after {
			if got, _ := os.ReadFile(filepath.Join(dir, n)); !bytes.Equal(got, b) {
				t.Errorf("%v made of %s:\n%q\nwant:\n%q", tool, n, got, b)
			}
		}
	}
}
