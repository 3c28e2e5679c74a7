package lift_test

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/lift"
	_ "road/internal/render/build" // in this process

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

// A case is a source, what is wanted of its objects and the files that come out:
// lines "set OBJECT PATH VALUE" and "new FILE" in its comment.
func TestApply(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no case is found", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { apply(t, file) })
	}
}

func apply(t *testing.T, file string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	want := map[string]string{}
	create := map[string][]byte{}
	for _, f := range ar.Files {
		if name, ok := strings.CutPrefix(f.Name, "want/"); ok {
			want[name] = string(f.Data)
			continue
		}
		if name, ok := strings.CutPrefix(f.Name, "new/"); ok {
			create[name] = f.Data
			continue
		}
		name := filepath.Join(root, f.Name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	below := "."
	var edits []edit.Edit
	var a *app.App
	for line := range strings.Lines(string(ar.Comment)) {
		switch w := strings.Fields(line); {
		case len(w) == 2 && w[0] == "load":
			below = w[1]
		case len(w) == 4 && w[0] == "set":
			a = load(t, a, root, below)
			edits = append(edits, set(t, a, w[1], w[2], w[3]))
		}
	}
	a = load(t, a, root, below)
	for name, content := range create {
		edits = append(edits, edit.Edit{File: path.Join(a.Rendered.Source.Post(), name), Create: content})
	}
	after, refused := lift.Apply(a, a.Files(), edits)
	got := map[string]string{}
	for name, content := range after {
		got[name] = string(content)
	}
	for _, r := range refused {
		got["refused"] += r.Error() + " (" + r.Hint + ")\n"
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("- want, + got:\n%s", d)
	}
	if slices.Contains(os.Args, "-v") {
		for name, content := range got {
			t.Logf("%s:\n%s", name, content)
		}
	}
}

func load(t *testing.T, a *app.App, root, below string) *app.App {
	if a != nil {
		return a
	}
	a, err := app.Load(filepath.Join(root, below))
	if err != nil {
		t.Fatal(err)
	}
	if a.Rendered == nil {
		t.Fatal("nothing was rendered")
	}
	return a
}

// set is an edit of an object's field: Deployment/web spec.replicas 2. A path
// names containers by their place.
func set(t *testing.T, a *app.App, object, at, value string) edit.Edit {
	for _, o := range a.Objects {
		if o.Kind+"/"+o.Name != object {
			continue
		}
		var p app.Path
		for e := range strings.SplitSeq(at, ".") {
			if len(e) == 1 && e[0] >= '0' && e[0] <= '9' {
				p = append(p, int(e[0]-'0'))
			} else {
				p = append(p, e)
			}
		}
		var v any = value
		switch value {
		case "true", "false":
			v = value == "true"
		case "2":
			v = 2
		case "ALL":
			v = []any{"ALL"}
		case "copy":
			v = edit.Map{{Key: "name", Value: "copy"}, {Key: "image", Value: "registry.example/web:1"}}
		case "nil":
			v = nil
		}
		return edit.Edit{File: o.File, Set: &edit.Set{Doc: o.Doc, Path: o.Within.Join(p...), Value: v}}
	}
	t.Fatalf("no object is %s", object)
	return edit.Edit{}
}
