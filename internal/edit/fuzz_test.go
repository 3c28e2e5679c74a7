package edit

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"road/internal/app"

	"go.yaml.in/yaml/v3"
)

// oddYAML are documents in which it is hard to find where things end.
var oddYAML = []string{
	"a: 1\nb:\n  c: 2\n",
	"spec:\n    containers:\n    -   name: x\n        image: y # why\n\n    # below\n    volumes: []\n",
	"a: {b: 1, c: [x, 'y', \"z\"]}\nd: {}\ne: []\nf:\n",
	"a: {\n  b: 1,\n  c: 2 # two\n}\n",
	"a: |\n  text\n  # no comment\n\nb: >-\n  folded\n\n  more\n# end\n",
	"a: |+\n  kept\n\n\nb: |2-\n   x\n",
	"a: \"b\n  # c\n  d\" # e\nf: 'it''s\n\n  g'\n",
	"a: plain\n  over lines\n  of text # end\nb: x\n",
	"--- # one\na: 1\n...\n%YAML 1.1\n---\nb: 2\n---\n# nothing\n---\n- 1\n- - 2\n  - a: 3\n    b: 4\n",
	"x: &x\n  a: 1\ny: *x\nz:\n  <<: *x\n  b: 2\nu: &u {v: 1}\n",
	"a: 1\r\nb:\r\n  - c\r\n  -\r\n  - d: e\r\n",
	"'a b': 1\n\"c\": 2\n? d\n: 3\n",
	"a:\n- b\n-\n- \n- c:\n  d: 1\n",
	"a: !!str 5\nb: !t {c: 1}\nc: &e\nd: !!map\n  f: 1",
	"ä: ö\nü:\n  - ß: \u2028x\n",
	"a: -1\nb: ~\nc: null\nd: {e, f: }\n",
	"\ufeffa: 1\nb: 2",
	"a:\n  b: 1\n   # deeper\n # shallower\n  c: 2\n",
	"{a: 1, b: {c: [1, 2, {d: 3}]}}\n",
	"- a\n- b: 1\n  c: 2\n-   - x\n    - y\n",
	"a: # note\n  # more\n  b: # deep\n    - 1 # one\n",
	"a:\t1\nb:\t# tab\n  c: 1\t\n",
	"a: # a\n  # b\n  b: 1 # c\nc: # d\n- x # e\n  # f\n- y # g\nd: | # h\n  t # i\n",
	"a: { # a\n  b: 1, # b\n  # c\n  c: [x, # d\n    y # e\n  ], # f\n  d: 1 # g\n} # h\n",
	"- # a\n  b: 1\n- c: # b\n    d: 1 # c\n  e: 2 # d\n- - f # e\n  - g # f\n",
}

// FuzzApply changes one place of any YAML: what comes out must parse, mean
// exactly what was intended, leave every other document and every comment
// outside the change alone, or be refused.
func FuzzApply(f *testing.F) {
	for _, s := range oddYAML {
		for pick := range uint16(6) {
			for op := range uint8(9) {
				f.Add(s, pick, op)
			}
		}
	}
	f.Fuzz(func(t *testing.T, content string, pick uint16, op uint8) {
		docs, err := app.Documents([]byte(content))
		if err != nil || len(docs) == 0 || len(content) > 4000 {
			return
		}
		doc := int(pick) % len(docs)
		var paths []app.Path
		collect(docs[doc], nil, &paths, 0)
		if len(paths) == 0 {
			return
		}
		set := chooseSet(docs[doc], paths[int(pick/3)%len(paths)], doc, op)
		before := Files{"x.yaml": []byte(content)}
		keep := bytes.Clone(before["x.yaml"])
		out, refused := Apply(before, []Edit{{File: "x.yaml", Set: set}})
		if !bytes.Equal(keep, before["x.yaml"]) {
			t.Fatal("Apply changed what it was given")
		}
		b, changed := out["x.yaml"]
		if len(refused) > 0 {
			if changed {
				t.Fatal("a file with a refused edit came out")
			}
			return
		}
		if !changed {
			b = keep
		}
		checkMeaning(t, content, string(b), set)
		checkComments(t, content, string(b), set)
		if lost := lostComments(content, string(b)); len(lost) > 0 {
			t.Fatalf("%v = %v: lost the comments %q:\n%q\nto\n%q", set.Path, set.Value, lost, content, b)
		}
	})
}

// collect lists the paths to all values below n.
func collect(n *yaml.Node, at app.Path, paths *[]app.Path, depth int) {
	if depth > 8 || len(*paths) > 200 {
		return
	}
	switch n.Kind {
	case yaml.DocumentNode:
		collect(n.Content[0], at, paths, depth)
		return
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Tag == "!!str" {
				*paths = append(*paths, at.Join(k.Value))
				collect(n.Content[i+1], at.Join(k.Value), paths, depth+1)
			}
		}
	case yaml.SequenceNode:
		for i, c := range n.Content {
			*paths = append(*paths, at.Join(i))
			collect(c, at.Join(i), paths, depth+1)
		}
	}
}

var fuzzMap = Map{{"user", 1}, {"list", []any{"a", Map{{"k", "no"}, {"l", []any{}}}}}, {"empty", Map{}}}

// chooseSet makes one of several changes at or below path.
func chooseSet(doc *yaml.Node, path app.Path, n int, op uint8) *Set {
	s := &Set{Doc: n, Path: path}
	switch op % 9 {
	case 0:
		s.Value = nil
	case 1:
		s.Value = "a: b #c"
	case 2:
		s.Value = fuzzMap
	case 3:
		s.Path, s.Value = path.Join("zz new"), true
	case 4:
		s.Path, s.Value = path.Join("zz", "deep", 0, "er"), 4444
	case 5: // beside the place, in front of it
		if k, ok := path[len(path)-1].(string); ok {
			s.Path, s.Before = path[:len(path)-1].Join("zz"), k
		}
		s.Value = fuzzMap
	case 6:
		s.Value = []any{1, fuzzMap}
	case 7: // behind the last item
		cur := doc.Content[0]
		for _, e := range path {
			if i, ok := e.(int); ok && cur.Kind == yaml.SequenceNode && i < len(cur.Content) {
				cur = cur.Content[i]
			} else if k, ok := e.(string); ok {
				if cur = value(cur, k); cur == nil {
					break
				}
			}
		}
		if cur != nil {
			s.Path = path.Join(len(cur.Content))
		}
		s.Value, s.Comment = fuzzMap, "a comment\nof two lines"
	case 8:
		s.Path, s.Value, s.Comment = path.Join("zz"), "yes", "why"
	}
	return s
}

// checkMeaning decodes before and after with the library, sets the value in
// what it decoded, and compares: a way that shares nothing with Apply's own.
func checkMeaning(t *testing.T, before, after string, s *Set) {
	t.Helper()
	want, ok := decodeAll(before)
	if !ok {
		return
	}
	got, ok := decodeAll(after)
	if !ok || len(got) != len(want) {
		t.Fatalf("%v = %v: no longer decodes:\n%q\nto\n%q", s.Path, s.Value, before, after)
	}
	want[s.Doc] = setIn(want[s.Doc], s.Path, s.Value)
	if !reflect.DeepEqual(want, got) {
		t.Fatalf("%v = %v:\n%q\nto\n%q\nmeans\n%#v\nnot\n%#v", s.Path, s.Value, before, after, got, want)
	}
}

func decodeAll(s string) (all []any, ok bool) {
	defer func() {
		if recover() != nil {
			all, ok = nil, false
		}
	}()
	docs, err := app.Documents([]byte(s))
	if err != nil {
		return nil, false
	}
	for _, d := range docs {
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, false
		}
		all = append(all, generic(v))
	}
	return all, true
}

// generic makes values comparable that mean the same in YAML.
func generic(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[any]any{}
		for k, e := range v {
			out[k] = generic(e)
		}
		return out
	case map[any]any:
		out := map[any]any{}
		for k, e := range v {
			out[k] = generic(e)
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, generic(e))
		}
		return out
	case Map:
		out := map[any]any{}
		for _, f := range v {
			out[f.Key] = generic(f.Value)
		}
		return out
	case float64:
		if v != v {
			return "NaN"
		}
	}
	return v
}

func setIn(cur any, path app.Path, v any) any {
	if len(path) == 0 {
		return generic(v)
	}
	last := len(path) == 1
	switch e := path[0].(type) {
	case int:
		list, _ := cur.([]any)
		switch {
		case last && v == nil && e < len(list):
			return append(slices.Clone(list[:e]), list[e+1:]...)
		case e == len(list):
			return append(slices.Clone(list), setIn(nil, path[1:], v))
		}
		list = slices.Clone(list)
		list[e] = setIn(list[e], path[1:], v)
		return list
	default:
		m, _ := cur.(map[any]any)
		m = maps.Clone(m)
		if m == nil {
			m = map[any]any{}
		}
		if last && v == nil {
			delete(m, e)
			return m
		}
		m[e] = setIn(m[e], path[1:], v)
		return m
	}
}

// checkComments makes sure that a change that only adds takes nothing away.
func checkComments(t *testing.T, before, after string, s *Set) {
	t.Helper()
	if !slices.Contains(s.Path, any("zz")) && !slices.Contains(s.Path, any("zz new")) {
		return
	}
	rest := after
	for i := range len(before) {
		c := before[i]
		j := strings.IndexByte(rest, c)
		if j < 0 {
			if strings.ContainsAny(before, "{[~") || strings.Contains(strings.ToLower(before), "null") {
				return // {}, [] and null are taken away where something takes their place
			}
			t.Fatalf("%v = %v: lost %q:\n%q\nto\n%q", s.Path, s.Value, before[i:], before, after)
		}
		rest = rest[j+1:]
	}
}
