package edit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"road/internal/app"

	"go.yaml.in/yaml/v3"
)

// A task is a Set that is to be done.
type task struct {
	*Set
	shared bool // all who share the anchored value on its way want the same of it
}

// An editing is one YAML or JSON file while Sets are done in it. They are done
// in rounds: all those of one round change different places, so that they can be
// planned against one parse of the file, and the parse that shows that the result
// means what was intended is that of the next round. So the work grows with the
// file, and not with the file times the number of its edits.
type editing struct {
	name    string
	b       []byte
	docs    []*yaml.Node
	isJSON  bool // the file is JSON and has to stay so
	facts   map[*yaml.Node]*facts
	sharing map[int]bool // documents in which something is shared
	refused []*Refused
}

// facts are what holds of a document for the length of one round.
type facts struct {
	style   style
	aliases map[string]bool // names of the anchors that an alias names
	json    *jsonStyle      // nil where the document is no JSON
}

// applySets does one Set after another, as if each were done on the result of the
// last.
func applySets(name string, b []byte, sets []*Set) ([]byte, []*Refused) {
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return nil, []*Refused{{app.Pos{File: name, Line: 1}, "the file is in UTF-16", "save it as UTF-8"}}
	}
	b, marked := bytes.CutPrefix(b, bom)
	docs, err := app.Documents(b)
	if err != nil {
		return nil, []*Refused{unparsed(name, b, err)}
	}
	e := &editing{name: name, b: b, docs: docs, isJSON: strings.EqualFold(path.Ext(name), ".json") || json.Valid(b)}
	if e.isJSON && !json.Valid(b) {
		return nil, []*Refused{{app.Pos{File: name, Line: 1}, "the file is called JSON and is not", "mend the file first"}}
	}
	todo := e.share(e.editable(sets))
	for len(todo) > 0 {
		var now []*task
		now, todo = e.apart(todo)
		e.round(now)
	}
	e.agree(sets)
	if e.refused != nil {
		return nil, e.refused
	}
	b = e.b
	if marked {
		b = append(slices.Clone(bom), b...)
	}
	return b, nil
}

func (e *editing) refuse(line int, hint, format string, args ...any) {
	r := &Refused{app.Pos{File: e.name, Line: line}, fmt.Sprintf(format, args...), hint}
	if !slices.ContainsFunc(e.refused, func(o *Refused) bool { return *o == *r }) {
		e.refused = append(e.refused, r)
	}
}

// editable leaves out the Sets of documents that cannot be edited.
func (e *editing) editable(sets []*Set) []*Set {
	template := slices.ContainsFunc(e.docs, e.hasBraces())
	return slices.DeleteFunc(slices.Clone(sets), func(s *Set) bool {
		switch {
		case s.Doc < 0 || s.Doc >= len(e.docs):
			e.refuse(0, "", "there is no document %d", s.Doc)
		case len(e.docs[s.Doc].Content) == 0:
			e.refuse(e.docs[s.Doc].Line, "", "document %d is empty", s.Doc)
		case template:
			r := templateAt(e.name, e.b)
			e.refuse(r.Line, r.Hint, "%s", r.Message)
		default:
			return false
		}
		return true
	})
}

// hasBraces finds documents that a template engine has yet to go over.
func (e *editing) hasBraces() func(*yaml.Node) bool {
	if !bytes.Contains(e.b, []byte("{{")) {
		return func(*yaml.Node) bool { return false }
	}
	t := newText(e.b)
	i := -1
	return func(d *yaml.Node) bool {
		i++
		from, to := 0, len(e.b)
		if i > 0 {
			from = t.lines[min(d.Line, len(t.lines))-1]
		}
		if i+1 < len(e.docs) {
			to = t.lines[min(e.docs[i+1].Line, len(t.lines))-1]
		}
		return braces(d, e.b[min(from, to):to])
	}
}

// apart takes from the front of todo the tasks that change different places, and
// gives the others, in order.
func (e *editing) apart(todo []*task) (now, later []*task) {
	taken, below := map[*yaml.Node]bool{}, map[*yaml.Node]bool{} // changed, and with something changed below
	for _, s := range todo {
		way := e.way(s.Set)
		place := way[len(way)-1]
		free := !below[place] && !slices.ContainsFunc(way, func(n *yaml.Node) bool { return taken[n] })
		if doc := e.docs[s.Doc]; free && e.sharing[s.Doc] {
			// One after the other: what one changes may show in many places.
			free, taken[doc] = !taken[doc], true
		}
		if free {
			now = append(now, s)
		} else {
			later = append(later, s)
		}
		taken[place] = true
		for _, n := range way[:len(way)-1] {
			below[n] = true
		}
	}
	return now, later
}

// way gives the collections from the top of the document to the one that a Set
// changes: as far down its path as they stand.
func (e *editing) way(s *Set) []*yaml.Node {
	cur := e.docs[s.Doc].Content[0]
	way := []*yaml.Node{cur}
	for _, elem := range s.Path[:max(len(s.Path)-1, 0)] {
		if cur = child(cur, elem); cur == nil || len(cur.Content) == 0 {
			break
		}
		way = append(way, cur)
	}
	return way
}

// child gives the value of a key or an item, nil where it does not stand.
func child(n *yaml.Node, elem any) *yaml.Node {
	switch e := elem.(type) {
	case string:
		return value(n, e)
	case int:
		if n.Kind == yaml.SequenceNode && e >= 0 && e < len(n.Content) {
			return n.Content[e]
		}
	}
	return nil
}

// round does tasks that change different places. Where they do not come out as
// they should, halves of them are tried, down to the one that cannot be done.
func (e *editing) round(tasks []*task) {
	if len(tasks) == 0 {
		return
	}
	e.facts = map[*yaml.Node]*facts{}
	t := newText(e.b)
	t.findComments(e.docs)
	var splices []splice
	var fine []*task
	for _, s := range tasks {
		p := &planner{t: t, doc: e.docs[s.Doc], set: s.Set, shared: s.shared, facts: e.factsOf(t, e.docs[s.Doc])}
		if err := p.plan(); err != nil {
			var why *refusal
			errors.As(err, &why)
			e.refuse(why.node.Line, why.hint, "%s", why.msg)
			continue
		}
		fine = append(fine, s)
		splices = append(splices, p.splices...)
	}
	if len(fine) < len(tasks) { // what was refused may have changed the tree
		e.docs, _ = app.Documents(e.b)
		e.round(fine)
		return
	}
	if len(splices) == 0 || e.takes(t, splices) {
		return
	}
	e.docs, _ = app.Documents(e.b)
	if len(tasks) == 1 {
		e.refuse(t.line(splices[0].start), "change it by hand", "%s cannot be set here without changing something else", tasks[0].Path)
		return
	}
	half := len(tasks) / 2
	e.round(tasks[:half])
	e.round(tasks[half:])
}

// takes changes the bytes, of which t is the text, if they then mean what the trees
// say and have every comment that they had.
func (e *editing) takes(t *text, splices []splice) bool {
	out, ok := apply(e.b, splices)
	if !ok || e.isJSON && !json.Valid(out) {
		return false
	}
	after, err := app.Documents(out)
	if err != nil || len(after) != len(e.docs) {
		return false
	}
	for i := range after {
		if !same(e.docs[i], after[i]) {
			return false
		}
	}
	now := newText(out)
	now.findComments(after)
	if !holds(now.texts(), t.texts()) {
		return false
	}
	e.b, e.docs = out, after
	return true
}

func (e *editing) factsOf(t *text, doc *yaml.Node) *facts {
	f := e.facts[doc]
	if f == nil {
		f = &facts{style: styleOf(doc.Content[0]), aliases: map[string]bool{}}
		aliasNames(doc, f.aliases)
		if e.isJSON || jsonLike(doc.Content[0]) {
			f.json = jsonStyleOf(t, doc.Content[0])
		}
		e.facts[doc] = f
	}
	return f
}

func aliasNames(n *yaml.Node, names map[string]bool) {
	if n.Kind == yaml.AliasNode {
		names[n.Value] = true
	}
	for _, c := range n.Content {
		aliasNames(c, names)
	}
}
