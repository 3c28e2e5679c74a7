package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/walk"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// fixture is a report made by hand, with every case that an output tells apart.
// It is not the outcome of any run.
func fixture(t *testing.T) *walk.Report {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "fixture.json"))
	if err != nil {
		t.Fatal(err)
	}
	r := new(walk.Report)
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s (-want +got):\n%s", name, d)
	}
}

func TestText(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, fixture(t)); err != nil {
		t.Fatal(err)
	}
	golden(t, "text.golden", b.Bytes())
	for i, l := range strings.Split(b.String(), "\n") {
		if w := ansi.StringWidth(l); w > maxWidth {
			t.Errorf("line %d is %d columns wide: %s", i+1, w, l)
		}
		if strings.TrimRight(l, " ") != l {
			t.Errorf("line %d ends with blanks", i+1)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("escape sequences in output that is no terminal")
	}
}

// A reader without colours must see every verdict.
func TestTextNamesEveryVerdict(t *testing.T) {
	var b bytes.Buffer
	if err := Text(&b, fixture(t)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"✗ succeeded", "✓ blocked", "? unproven", "left-out", "stays open", "not closed"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text does not say %q", want)
		}
	}
}

func TestJSONComesBackTheSame(t *testing.T) {
	r := fixture(t)
	var b bytes.Buffer
	if err := JSON(&b, r); err != nil {
		t.Fatal(err)
	}
	back := new(walk.Report)
	if err := json.Unmarshal(b.Bytes(), back); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, back); d != "" {
		t.Errorf("the report changed (-want +got):\n%s", d)
	}
	golden(t, "json.golden", b.Bytes())
}

// A walk that failed at once still has a report.
func TestEmptyReport(t *testing.T) {
	for name, f := range Formats {
		if err := f(&bytes.Buffer{}, &walk.Report{Schema: walk.Schema, App: "web"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindListsTheFormats(t *testing.T) {
	_, err := Find("yaml")
	if err == nil || !strings.Contains(err.Error(), "json, text") {
		t.Errorf("got %v, want the names", err)
	}
}
