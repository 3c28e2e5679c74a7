package app

import (
	"bytes"
	"cmp"
	"errors"
	"path"
	"slices"
	"strings"
	"sync"

	"road/internal/render"

	"go.yaml.in/yaml/v3"
)

// A Rendered is the kustomization or the chart that the objects come from. Their
// File is its stream, which is no file: steps edit that, and what they intend is
// brought to the files of the owner by package lift.
type Rendered struct {
	Source render.Source
	Result *render.Result
	Disk   string // the folder of files that nothing has asked for yet; "" in memory

	files map[string][]byte
	tree  *render.Tree
	mu    sync.Mutex // guards what follows
	docs  map[string][]*yaml.Node
	keys  *render.Keys
}

// render gives the one stream that the application is rendered to.
func (l *loader) render(s render.Source) ([]file, error) {
	t := render.NewTree(l.files, nil)
	t.Root = l.root
	r, err := render.Render(t, s)
	var fault *render.Error
	switch {
	case errors.As(err, &fault) && l.source == nil && l.guessed(s):
		// Its files alone may still be of use.
		l.app.Problems = append(l.app.Problems, Problem{Pos{File: fault.File, Line: fault.Line}, fault.Message, fault.Hint, false})
		return l.parse(), nil
	case err != nil:
		return nil, err
	}
	a := l.app
	a.Rendered = &Rendered{Source: s, Result: r, Disk: cmp.Or(l.root, l.disk), files: t.Files, tree: render.NewTree(t.Files, nil), docs: map[string][]*yaml.Node{}}
	a.files = t.Files
	for _, h := range slices.Compact(r.Hooks) {
		a.Problems = append(a.Problems, Problem{Pos{File: h}, "a hook, which Helm runs at a time of its own: it is no part of what is checked and run", "", false})
	}
	for _, n := range r.Notes {
		a.Problems = append(a.Problems, Problem{Pos{File: n.File, Line: n.Line}, n.Message, n.Hint, false})
	}
	content := r.Stream()
	f := file{name: s.File(), content: content}
	f.docs, f.err = Documents(content)
	f.lines = newLineMap(content)
	f.braces = bytes.Contains(content, []byte("{{"))
	return []file{f}, nil
}

// guessed says that nobody named the source.
func (l *loader) guessed(s render.Source) bool {
	c := l.app.Config
	return c.Kustomization == "" && c.Helm == nil && s.Dir != "." && s.Dir != l.app.Below
}

// settle gives faults of the stream the place that the object comes from: that of
// the key or value where it can be told, else its file.
func (r *Rendered) settle(problems []Problem, docs []*Object) {
	for i, p := range problems {
		if p.File != r.Source.File() {
			continue
		}
		problems[i].Pos = Pos{File: r.owner()}
		for _, o := range docs {
			if o.Line <= p.Line && o.Doc < len(r.Result.Objects) {
				problems[i].Pos = Pos{File: r.origin(o)}
				if at := pathTo(o.source.root, p.Line, p.Column); at != nil {
					problems[i].Pos = r.pos(o, at)
				}
			}
		}
	}
}

// pathTo gives the way to the key or value that begins at a place; nil for none.
func pathTo(n *yaml.Node, line, column int) Path {
	n = resolve(n)
	for i, c := range n.Content {
		var elem any = i
		switch {
		case n.Kind == yaml.MappingNode && i%2 == 0:
			if c.Line == line && c.Column == column {
				return Path{c.Value}
			}
			continue
		case n.Kind == yaml.MappingNode:
			elem = n.Content[i-1].Value
		}
		if below := pathTo(c, line, column); below != nil {
			return append(Path{elem}, below...) // a mapping begins where its first key does
		}
		if c.Line == line && c.Column == column {
			return Path{elem}
		}
	}
	return nil
}

// owner is the file that stands for the whole source.
func (r *Rendered) owner() string {
	if r.Source.Chart {
		return path.Join(r.Source.Dir, "Chart.yaml")
	}
	return r.tree.Kustomization(r.Source.Dir)
}

// origin is the file that an object comes from.
func (r *Rendered) origin(o *Object) string {
	of := &r.Result.Objects[o.Doc]
	for _, name := range []string{of.Template, of.From} {
		if _, there := r.files[name]; there {
			return name
		}
	}
	return r.owner()
}

// parsed gives the documents of a file of the source.
func (r *Rendered) parsed(name string) []*yaml.Node {
	r.mu.Lock()
	defer r.mu.Unlock()
	docs, ok := r.docs[name]
	if !ok {
		docs, _ = Documents(r.files[name])
		r.docs[name] = docs
	}
	return docs
}

// A Site is where a place of a rendered object stands in a file of its owner.
type Site struct {
	File  string
	Doc   int
	Path  Path // from the top of the document: what stands, and what does not
	Depth int  // so many elements of Path stand
	Patch bool // the file is a patch
}

// Sites finds where a path of a rendered object stands in the kustomizations'
// files: in patches of the object first, those that come last in front, and then
// in the object's own file. The files of a chart are templates and hold none.
func (r *Rendered) Sites(o *Object, at Path) []Site {
	at = o.own(at)
	var spots []Site
	look := func(name string, patch bool) {
		for i, doc := range r.parsed(name) {
			for _, within := range objectsIn(top(doc)) {
				n := descend(top(doc), within)
				if !r.stands(o, n, name) {
					continue
				}
				p, depth := translate(at, o.source.root, n)
				spots = append(spots, Site{name, i, within.Join(p...), len(within) + depth, patch})
			}
		}
	}
	for _, name := range r.patches() {
		look(name, true)
	}
	if from := r.Result.Objects[o.Doc].From; from != "" {
		look(from, false)
	}
	return spots
}

// patches lists the patch files of all kustomizations, the outermost first.
func (r *Rendered) patches() []string {
	var out []string
	for _, k := range r.Result.Tops {
		for _, d := range r.parsed(k) {
			for _, name := range patchFiles(k, d) {
				if _, there := r.files[name]; there && !slices.Contains(out, name) {
					out = append(out, name)
				}
			}
		}
	}
	return out
}

// objectsIn gives the ways to the objects of a document.
func objectsIn(n *yaml.Node) []Path {
	list := resolve(field(n, "items"))
	if !strings.HasSuffix(text(field(n, "kind")), "List") || list == nil || list.Kind != yaml.SequenceNode {
		return []Path{nil}
	}
	var out []Path
	for i := range list.Content {
		out = append(out, Path{"items", i})
	}
	return out
}

func descend(n *yaml.Node, p Path) *yaml.Node {
	for _, e := range p {
		if _, n = step(n, e); n == nil {
			return nil
		}
	}
	return resolve(n)
}

// stands says whether a document is the one that an object was made of, or a
// patch for it: the kind is the same, and the name is, but for what kustomizations
// put before and behind it. Of several whose names are part of it, the longest is.
func (r *Rendered) stands(o *Object, n *yaml.Node, file string) bool {
	fits := func(n *yaml.Node) string {
		name := text(field(field(n, "metadata"), "name"))
		if n == nil || text(field(n, "kind")) != o.Kind || !strings.Contains(o.Name, name) {
			return ""
		}
		return name
	}
	name := fits(n)
	if name == "" {
		return false
	}
	for _, doc := range r.parsed(file) {
		for _, within := range objectsIn(top(doc)) {
			if other := fits(descend(top(doc), within)); len(other) > len(name) {
				return false
			}
		}
	}
	return true
}

// translate turns a path of the rendered object into the same of one of its
// sources, where lists may have other lengths. depth elements of it stand.
func translate(at Path, rendered, source *yaml.Node) (p Path, depth int) {
	list := ""
	for i, e := range at {
		_, next := step(rendered, e)
		if at, isIndex := e.(int); isIndex && source != nil {
			e = indexOf(list, at, resolve(rendered), resolve(source))
		}
		list, _ = e.(string)
		var to *yaml.Node
		if source != nil {
			_, to = step(source, e)
		}
		p = append(p, e)
		if to != nil {
			depth = i + 1
		}
		rendered, source = next, to
	}
	return p, depth
}

// identity is the key by which an item of a list is known: that by which the list
// is merged, else one by which a person would know it.
func identity(list string, item *yaml.Node) string {
	known := map[string]any{}
	for i := 0; item.Kind == yaml.MappingNode && i+1 < len(item.Content); i += 2 {
		known[item.Content[i].Value] = item.Content[i+1]
	}
	if key := render.ItemKey(list, known); key != "" {
		return key
	}
	for _, key := range []string{"name", "port", "key"} {
		if known[key] != nil {
			return key
		}
	}
	return ""
}

// indexOf finds in the list of a source the item that is at i in the rendered one;
// the source's length where it has none.
func indexOf(list string, i int, rendered, source *yaml.Node) int {
	if source.Kind != yaml.SequenceNode || rendered == nil || rendered.Kind != yaml.SequenceNode || i >= len(rendered.Content) {
		if source.Kind == yaml.SequenceNode {
			return len(source.Content)
		}
		return i
	}
	item := resolve(rendered.Content[i])
	for j, other := range source.Content {
		other = resolve(other)
		if item.Kind == yaml.ScalarNode && other.Kind == yaml.ScalarNode && item.Value == other.Value {
			return j
		}
		if key := identity(list, item); key != "" && text(field(other, key)) == text(field(item, key)) {
			return j
		}
	}
	return len(source.Content)
}

// pos finds the place where the owner of a rendered object would change path.
func (r *Rendered) pos(o *Object, at Path) Pos {
	if r.Source.Chart {
		if p, ok := r.valuesPos(o, at); ok {
			return p
		}
		if t := r.Result.Objects[o.Doc].Template; t != "" {
			return r.templatePos(t, o, at)
		}
	}
	if p, ok := r.imagePos(o, at); ok {
		return p
	}
	var best *Site
	for _, s := range r.Sites(o, at) {
		// A value that a patch sets wins; all else belongs to the object's own file.
		says := best != nil && best.Depth == len(best.Path) && o.Value(at) != nil
		if best == nil || s.Depth > best.Depth || s.Depth == best.Depth && !s.Patch && !says {
			best = &s
		}
	}
	if best == nil {
		return Pos{File: r.owner(), Line: 1}
	}
	n := top(r.parsed(best.File)[best.Doc])
	k := n
	if len(n.Content) > 0 {
		k = n.Content[0]
	}
	for _, e := range best.Path[:best.Depth] {
		k, n = step(n, e)
	}
	return Pos{File: best.File, Line: newLineMap(r.files[best.File]).line(k.Line), Column: k.Column}
}

// imagePos finds the entry of a kustomization that has the last word on an image.
func (r *Rendered) imagePos(o *Object, at Path) (Pos, bool) {
	if len(at) == 0 || at[len(at)-1] != "image" {
		return Pos{}, false
	}
	_, entry, file := r.ImageEntry(text(descend(o.source.root, at)))
	if entry == nil {
		return Pos{}, false
	}
	for _, key := range []string{"digest", "newTag", "name"} {
		if k, v := step(entry, key); v != nil {
			return Pos{File: file, Line: k.Line, Column: k.Column}, true
		}
	}
	return Pos{File: file, Line: entry.Line, Column: entry.Column}, true
}

// ImageEntry finds the entry under images: that sets the tag of an image; the
// outermost kustomization's wins. i is its place in the list.
func (r *Rendered) ImageEntry(ref string) (i int, entry *yaml.Node, file string) {
	name := imageName(ref)
	for _, k := range r.Result.Tops {
		for _, d := range r.parsed(k) {
			list := resolve(field(top(d), "images"))
			if list == nil || list.Kind != yaml.SequenceNode {
				continue
			}
			for i, e := range list.Content {
				now := text(field(e, "newName"))
				if now == "" {
					now = text(field(e, "name"))
				}
				if now == name {
					return i, resolve(e), k
				}
			}
		}
	}
	return 0, nil, ""
}

// templatePos goes down a path in the text of a template, key by key, as far as
// the keys can be seen.
func (r *Rendered) templatePos(name string, o *Object, at Path) Pos {
	lines := strings.Split(string(r.files[name]), "\n")
	if _, there := r.files[name]; !there {
		return Pos{File: r.owner(), Line: 1} // of a chart in an archive
	}
	from := 0
	for i, l := range lines { // the object, of several in the file
		if strings.HasPrefix(l, "kind: "+o.Kind) {
			from = i
			break
		}
	}
	found := from
	for _, e := range at {
		key, isKey := e.(string)
		if !isKey {
			continue
		}
		next := slices.IndexFunc(lines[from:], func(l string) bool {
			return strings.HasPrefix(strings.TrimLeft(l, " -"), key+":")
		})
		if next < 0 {
			break
		}
		from += next
		found = from
	}
	return Pos{File: name, Line: found + 1}
}

// Identity gives what a patch of the last kustomization calls an object: as its
// own file does, or as it was generated.
func (r *Rendered) Identity(o *Object) (apiVersion, kind, name, namespace string) {
	of := &r.Result.Objects[o.Doc]
	for _, doc := range r.parsed(of.From) {
		for _, at := range objectsIn(top(doc)) {
			if n := descend(top(doc), at); r.stands(o, n, of.From) {
				meta := field(n, "metadata")
				return text(field(n, "apiVersion")), o.Kind, text(field(meta, "name")), text(field(meta, "namespace"))
			}
		}
	}
	return o.APIVersion, o.Kind, o.Name, o.Namespace
}

// Value gives what stands at a path, which is as Pos takes it: a scalar as text,
// nil for anything else and for nothing.
func (o *Object) Value(path Path) any {
	n := descend(o.source.root, o.own(path))
	if n == nil || n.Kind != yaml.ScalarNode {
		return nil
	}
	return n.Value
}
