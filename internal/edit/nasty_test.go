package edit

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"road/internal/app"

	"github.com/google/go-cmp/cmp"
)

// A nasty is one way to write manifests that trips tools which decode and encode.
type nasty func(r *rand.Rand, s string) string

// nasties change how a file looks and, but for what their names say, not what it
// means.
var nasties = map[string]nasty{
	"CRLF":              func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
	"no last newline":   func(_ *rand.Rand, s string) string { return strings.TrimRight(s, "\r\n") },
	"byte order mark":   func(_ *rand.Rand, s string) string { return "\ufeff" + s },
	"blank lines":       func(r *rand.Rand, s string) string { return sprinkle(r, s, "\n") },
	"comments":          func(r *rand.Rand, s string) string { return sprinkle(r, s, "# --- not a document: { \"no\", é\n") },
	"tabs in comments":  func(r *rand.Rand, s string) string { return sprinkle(r, s, "   #\tx\t\n") },
	"trailing blanks":   func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, "spec:\n", "spec:  \t\n") },
	"comment at --- ":   func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, "---\n", "--- # next\n") },
	"document end":      func(_ *rand.Rand, s string) string { return strings.ReplaceAll(s, "---\n", "...\n---\n") },
	"first marker":      func(_ *rand.Rand, s string) string { return "# licence\n---\n" + s },
	"empty documents":   func(_ *rand.Rand, s string) string { return s + "---\n# nothing\n---\n" },
	"wider indentation": func(_ *rand.Rand, s string) string { return widen(s) },
}

// sprinkle puts a line in front of one line in four, outside block scalars.
func sprinkle(r *rand.Rand, s, line string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		if r.IntN(4) == 0 && !strings.HasPrefix(strings.TrimSpace(l), "text") {
			b.WriteString(line)
		}
		b.WriteString(l)
	}
	return b.String()
}

// widen doubles the indentation.
func widen(s string) string {
	var b strings.Builder
	for l := range strings.Lines(s) {
		rest := strings.TrimLeft(l, " ")
		b.WriteString(strings.Repeat(" ", len(l)-len(rest)) + l)
	}
	return b.String()
}

// pods are forms of one pod; what a Set puts below spec and containers has room in
// each.
var pods = []string{
	"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: web\n    image: web:1\n",
	"apiVersion: v1\nkind: Pod\nmetadata: {name: b, labels: {on: yes, off: \"no\", mode: 0644, at: 1:30}}\nspec: {containers: [{name: web, image: \"web:1\"}]}\n",
	"apiVersion: v1\nkind: Pod\nspec:\n  securityContext:\n  containers:\n    - image: 'web:1' # pinned later\n      name: web\n      args: [\"-c\", 'it''s', \"a: b #c\"]\n  restartPolicy: Never\n",
	"apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    text: |\n      kind: Pod\n\n      not a document\n    folded: >-\n      more\n      text\n    long: \"" + strings.Repeat("ä long ", 60) + "\"\nspec:\n  containers:\n  - name: web\n    image: web:1\n    securityContext: {}\n",
	"kind: Pod\napiVersion: v1\nspec:\n  securityContext: ~\n  containers:\n  - name: web\n    securityContext: &sc\n      privileged: false\n    image: web:1\n  initContainers:\n  - name: init\n    image: init:1\n    securityContext: *sc\n",
	"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - {name: web, image: web:1, env: [\n      {name: A, value: \"1\"}, # one\n      {name: ü, value: 日本}\n    ]}\n",
	"{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"Pod\",\n  \"spec\": {\n    \"containers\": [\n      {\n        \"name\": \"web\"\n      }\n    ]\n  }\n}\n",
}

// The sets that hardening makes, on every pod of a file.
func hardening(docs []string) []Edit {
	var out []Edit
	set := func(doc int, v any, before, comment string, path ...any) {
		out = append(out, Edit{File: "x.yaml", Set: &Set{Doc: doc, Path: path, Value: v, Before: before, Comment: comment}})
	}
	for i, d := range docs {
		set(i, true, "containers", "why\nit is so", "spec", "securityContext", "runAsNonRoot")
		set(i, 65532, "containers", "", "spec", "securityContext", "runAsUser")
		set(i, false, "", "why", "spec", "containers", 0, "securityContext", "allowPrivilegeEscalation")
		if strings.Contains(d, "*sc") {
			set(i, false, "", "why", "spec", "initContainers", 0, "securityContext", "allowPrivilegeEscalation")
		}
		set(i, []any{"ALL"}, "", "", "spec", "containers", 0, "resources", "drop")
		set(i, "yes", "", "", "spec", "containers", 0, "note")
		set(i, []any{Map{{"name", "tmp"}, {"emptyDir", Map{{"sizeLimit", "64Mi"}}}}}, "", "", "spec", "volumes")
	}
	return out
}

// Files that are hard to edit come out with every Set done and nothing else
// changed: each document means, decoded by the library, what it meant with the
// values set; no comment is lost; a second time changes nothing. What could not be
// done was refused as a whole.
func TestNastyFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 9))
	names := slices.Sorted(maps.Keys(nasties))
	edited := 0
	for range 300 {
		var docs []string
		for range 1 + r.IntN(4) {
			docs = append(docs, pods[r.IntN(len(pods))])
		}
		content, how := strings.Join(docs, "---\n"), ""
		for _, name := range names {
			if r.IntN(4) == 0 {
				content, how = nasties[name](r, content), how+", "+name
			}
		}
		parsed, err := app.Documents([]byte(strings.TrimPrefix(content, "\ufeff")))
		if err != nil || len(parsed) < len(docs) {
			continue // two of them do not go together
		}
		edits := hardening(docs)
		if strings.Contains(how, "first marker") && len(parsed[0].Content) == 0 {
			continue
		}
		out, refused := Apply(Files{"x.yaml": []byte(content)}, edits)
		got, ok := out["x.yaml"]
		if len(refused) > 0 {
			if ok {
				t.Fatalf("%s: refused and written", how)
			}
			continue
		}
		edited++
		nastyMeaning(t, how, content, string(got), edits)
		for _, c := range comments(content) {
			if !strings.Contains(string(got), c) {
				t.Fatalf("%s: the comment %q is gone:\n%s", how, c, got)
			}
		}
		if again, _ := Apply(Files{"x.yaml": got}, edits); len(again) > 0 {
			t.Fatalf("%s: a second time changes it again:\n%s", how, Diff(Files{"x": got}, Files{"x": again["x.yaml"]}))
		}
	}
	t.Logf("%d of 300 files edited", edited)
	if edited < 200 {
		t.Errorf("only %d of 300 files were edited", edited)
	}
}

// nastyMeaning sets the values in what the library decodes, a way that shares
// nothing with Apply's own, and compares.
func nastyMeaning(t *testing.T, how, before, after string, edits []Edit) {
	t.Helper()
	want, ok := decodeAll(strings.TrimPrefix(before, "\ufeff"))
	got, ok2 := decodeAll(strings.TrimPrefix(after, "\ufeff"))
	if !ok || !ok2 {
		t.Fatalf("%s: does not decode:\n%s\nto\n%s", how, before, after)
	}
	for _, e := range edits {
		want[e.Set.Doc] = setIn(want[e.Set.Doc], e.Set.Path, e.Set.Value)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatalf("%s:\n%s\nto\n%s\n%s", how, before, after, d)
	}
	if strings.HasPrefix(before, "\ufeff") != strings.HasPrefix(after, "\ufeff") || strings.HasSuffix(before, "\n") != strings.HasSuffix(after, "\n") {
		t.Errorf("%s: its first or last byte is another:\n%q\nto\n%q", how, before, after)
	}
	if strings.Count(after, "\n") != strings.Count(after, "\r\n") && strings.Count(before, "\n") == strings.Count(before, "\r\n") {
		t.Errorf("%s: line ends are mixed:\n%q", how, after)
	}
}

// comments gives the comments that stand on lines of their own.
func comments(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out
}
