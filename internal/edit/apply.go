package edit

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"road/internal/app"

	"go.yaml.in/yaml/v3"
)

// Apply gives the new content of every file that edits change; files itself is
// not changed. The result leaves out files with a refused edit, all of which
// the second value names, in order: either every edit of a file is done or none
// is.
func Apply(files Files, edits []Edit) (Files, []*Refused) {
	var order []string
	byFile := map[string][]Edit{}
	for _, e := range edits {
		if byFile[e.File] == nil {
			order = append(order, e.File)
		}
		byFile[e.File] = append(byFile[e.File], e)
	}
	out := Files{}
	var refused []*Refused
	for _, name := range order {
		old, exists := files[name]
		b, r := applyFile(name, old, exists, byFile[name])
		if r != nil {
			refused = append(refused, r...)
		} else if !exists || !bytes.Equal(b, old) {
			out[name] = b
		}
	}
	return out, refused
}

// applyFile does the edits of one file, which are all of one kind.
func applyFile(name string, b []byte, exists bool, edits []Edit) ([]byte, []*Refused) {
	no := func(format string, args ...any) []*Refused {
		return []*Refused{{Pos: app.Pos{File: name}, Message: fmt.Sprintf(format, args...)}}
	}
	var sets []*Set
	var lines []*Lines
	for _, e := range edits {
		switch {
		case e.Set != nil && e.Lines == nil && e.Create == nil:
			sets = append(sets, e.Set)
		case e.Lines != nil && e.Set == nil && e.Create == nil:
			lines = append(lines, e.Lines)
		case e.Create != nil && e.Set == nil && e.Lines == nil:
			if exists {
				return nil, no("the file exists already")
			}
			b, exists = e.Create, true
		default:
			return nil, no("an edit is exactly one of set, lines and create")
		}
	}
	switch {
	case !exists:
		return nil, no("there is no such file")
	case len(sets) > 0 && len(lines) > 0:
		return nil, no("edits of lines and of values do not go together")
	case len(sets) > 0:
		return applySets(name, b, sets)
	case len(lines) > 0:
		return applyLines(name, b, lines)
	}
	return b, nil
}

var bom = []byte("\ufeff")

// applySets does one Set after another, each on the result of the last, and
// parses every result again: it must mean what was intended.
func applySets(name string, b []byte, sets []*Set) ([]byte, []*Refused) {
	if r := unsupported(name, b); r != nil {
		return nil, []*Refused{r}
	}
	b, marked := bytes.CutPrefix(b, bom)
	docs, err := app.Documents(b)
	if err != nil {
		return nil, []*Refused{unparsed(name, b, err)}
	}
	var refused []*Refused
	for _, s := range sets {
		next, nextDocs, r := applySet(name, b, docs, s)
		if r != nil {
			if !slices.ContainsFunc(refused, func(o *Refused) bool { return *o == *r }) {
				refused = append(refused, r)
			}
			docs, _ = app.Documents(b) // the plan may have changed the tree
			continue
		}
		b, docs = next, nextDocs
	}
	if refused != nil {
		return nil, refused
	}
	if marked {
		b = append(slices.Clone(bom), b...)
	}
	return b, nil
}

// applySet does one Set. It changes docs.
func applySet(name string, b []byte, docs []*yaml.Node, s *Set) ([]byte, []*yaml.Node, *Refused) {
	no := func(line int, hint, format string, args ...any) *Refused {
		return &Refused{app.Pos{File: name, Line: line}, fmt.Sprintf(format, args...), hint}
	}
	if s.Doc < 0 || s.Doc >= len(docs) {
		return nil, nil, no(0, "", "there is no document %d", s.Doc)
	}
	doc := docs[s.Doc]
	if len(doc.Content) == 0 {
		return nil, nil, no(doc.Line, "", "document %d is empty", s.Doc)
	}
	if r := unsupportedDoc(name, b, docs, s.Doc); r != nil {
		return nil, nil, r
	}
	p := &planner{t: newText(b), doc: doc, set: s}
	if err := p.plan(); err != nil {
		var why *refusal
		errors.As(err, &why)
		return nil, nil, no(why.node.Line, why.hint, "%s", why.msg)
	}
	if len(p.splices) == 0 {
		return b, docs, nil
	}
	line := p.t.line(p.splices[0].start)
	out := apply(b, p.splices)
	after, err := app.Documents(out)
	ok := err == nil && len(after) == len(docs)
	for i := 0; ok && i < len(docs); i++ {
		ok = same(docs[i], after[i])
	}
	if !ok {
		return nil, nil, no(line, "change it by hand", "%s cannot be set here without changing something else", s.Path)
	}
	return out, after, nil
}

// unsupported refuses files that are no YAML manifests.
func unsupported(name string, b []byte) *Refused {
	switch {
	case strings.EqualFold(path.Ext(name), ".json"):
		return &Refused{app.Pos{File: name, Line: 1}, "JSON manifests are read, not yet edited", "write the manifest as YAML, or change it by hand"}
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return &Refused{app.Pos{File: name, Line: 1}, "the file is in UTF-16", "save it as UTF-8"}
	}
	return nil
}

// unparsed refuses a file that is not YAML.
func unparsed(name string, b []byte, err error) *Refused {
	line, msg := problem(err)
	if bytes.Contains(b, []byte("{{")) {
		return template(name, b)
	}
	return &Refused{app.Pos{File: name, Line: line}, msg, "mend the file first"}
}

// template refuses a file that is a manifest only after rendering, at its first
// braces.
func template(name string, b []byte) *Refused {
	before, _, _ := bytes.Cut(b, []byte("{{"))
	return &Refused{
		Pos:     app.Pos{File: name, Line: bytes.Count(before, []byte("\n")) + 1},
		Message: "a template is not edited",
		Hint:    "change the template by hand, or edit what it renders to",
	}
}

// unsupportedDoc refuses documents that are read but not edited.
func unsupportedDoc(name string, b []byte, docs []*yaml.Node, i int) *Refused {
	top := docs[i].Content[0]
	at := app.Pos{File: name, Line: top.Line}
	if kind, items := value(top, "kind"), value(top, "items"); kind != nil && items != nil && strings.HasSuffix(kind.Value, "List") {
		return &Refused{at, "the items of a " + kind.Value + " are read, not yet edited", "put each object into a document of its own, with --- in between"}
	}
	if jsonLike(top) {
		return &Refused{at, "JSON manifests are read, not yet edited", "write the manifest as YAML, or change it by hand"}
	}
	for _, d := range docs {
		if braces(d, rawDoc(b, docs, d)) {
			return template(name, b)
		}
	}
	return nil
}

// rawDoc gives the lines from the start of a document to that of the next.
func rawDoc(b []byte, docs []*yaml.Node, d *yaml.Node) []byte {
	t := newText(b)
	i := slices.Index(docs, d)
	from, to := 0, len(b)
	if i > 0 {
		from = t.lines[min(d.Line, len(t.lines))-1]
	}
	if i+1 < len(docs) {
		to = t.lines[min(docs[i+1].Line, len(t.lines))-1]
	}
	return b[min(from, to):to]
}

func value(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// jsonLike says that a document is JSON under another name: braces, and all keys
// of its top in double quotes.
func jsonLike(top *yaml.Node) bool {
	if top.Kind != yaml.MappingNode || top.Style&yaml.FlowStyle == 0 {
		return false
	}
	for i := 0; i < len(top.Content); i += 2 {
		if top.Content[i].Style&yaml.DoubleQuotedStyle == 0 {
			return false
		}
	}
	return true
}
