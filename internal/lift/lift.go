// Package lift brings what a step intends for rendered objects to the files of
// their owner: to the kustomization's or the chart's, where he would write it.
//
// It renders after every change and looks. A change stays only if the objects come
// nearer to what is intended and nothing else moves; in the end they must be what
// is intended, else the edit is refused and its files stay as they are.
package lift

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/render"
)

// A Refused is an edit that has no place in the owner's files.
type Refused struct {
	*edit.Refused
	Edit edit.Edit
}

// Apply is edit.Apply for an application that is rendered: edits of its stream
// become edits of its owner's files. files must hold all of a.Files.
func Apply(a *app.App, files edit.Files, edits []edit.Edit) (edit.Files, []Refused) {
	after, refused := apply(a, files, edits, nil)
	if shared := breaks(a, files, after); len(shared) > 0 {
		after, refused = apply(a, files, edits, shared) // without a change of what others use
	}
	return after, refused
}

// apply is Apply that leaves some files alone.
func apply(a *app.App, files edit.Files, edits []edit.Edit, alone map[string]bool) (edit.Files, []Refused) {
	l := &lifting{app: a, files: maps.Clone(files), bad: map[string]bool{}, alone: alone}
	var streamed, others []edit.Edit
	for _, e := range edits {
		switch {
		case e.File == a.Rendered.Source.File():
			streamed = append(streamed, e)
		default:
			others = append(others, e)
		}
	}
	l.plain(others)
	if !l.intend(streamed, others) {
		return l.changed(files), l.refused
	}
	l.rename(others)
	l.list(others)
	l.grantAll()
	l.tieImages()
	l.verdict(others)
	if len(l.left) > 0 && len(l.refused) == 0 {
		l.refuseAll(others)
		return edit.Files{}, l.refused
	}
	return l.changed(files), l.refused
}

// A lifting is one Apply.
type lifting struct {
	app     *app.App
	files   edit.Files // as they are now
	want    []*object
	wishes  []*wish
	left    map[string]bool // differences between what the files give and want
	bad     map[string]bool // values that were tried in vain: key and value
	alone   map[string]bool // files that are not to be changed
	refused []Refused
}

// An object is one that is rendered, or is to be.
type object struct {
	id   string
	tree map[string]any
	made string // the new file that it is in; "" for one that was there
}

// A wish is one edit of the stream.
type wish struct {
	edit edit.Edit
	obj  *app.Object
	keys []string // the differences that it makes
}

// plain does the edits of files that are what they are: Dockerfiles, new files and
// the kustomizations' own.
func (l *lifting) plain(edits []edit.Edit) {
	out, refused := edit.Apply(l.files, edits)
	for _, r := range refused {
		for _, e := range edits {
			if e.File == r.File {
				l.refused = append(l.refused, Refused{r, e})
				break
			}
		}
	}
	maps.Copy(l.files, out)
}

// intend works out what the objects shall be; false where nothing of the stream
// changes.
func (l *lifting) intend(streamed, others []edit.Edit) bool {
	r := l.app.Rendered
	name := r.Source.File()
	now := edit.Files{name: r.Result.Stream()}
	before := trees(now[name])
	for _, e := range streamed {
		out, refused := edit.Apply(now, []edit.Edit{e})
		obj := l.object(e)
		if len(refused) > 0 || obj == nil {
			why := "no such object"
			if len(refused) > 0 {
				why = refused[0].Message
			}
			l.refuse(e, obj, why, "change it by hand")
			continue
		}
		maps.Copy(now, out)
		after := trees(now[name])
		w := &wish{edit: e, obj: obj}
		if e.Set.Doc < len(before) && e.Set.Doc < len(after) {
			id := r.Result.Objects[e.Set.Doc].ID()
			for _, d := range render.Differences(before[e.Set.Doc], after[e.Set.Doc]) {
				w.keys = append(w.keys, id+" "+d.Key())
			}
		}
		l.wishes = append(l.wishes, w)
		before = after
	}
	for i, t := range before {
		l.want = append(l.want, &object{id: r.Result.Objects[i].ID(), tree: t})
	}
	for _, e := range others {
		if e.Create != nil && l.files[e.File] != nil && path.Dir(e.File) == r.Source.Post() {
			for _, t := range trees(e.Create) {
				if o := newObject(t); o != nil {
					o.made = e.File
					l.want = append(l.want, o)
				}
			}
		}
	}
	return len(l.wishes) > 0 || len(l.want) > len(r.Result.Objects)
}

// object finds the object that an edit of the stream is for.
func (l *lifting) object(e edit.Edit) *app.Object {
	for _, o := range l.app.Objects {
		n := len(o.Within)
		if e.Set != nil && o.Doc == e.Set.Doc && len(e.Set.Path) >= n && slices.Equal(e.Set.Path[:n], o.Within) {
			return o
		}
	}
	return nil
}

// trees decodes a stream.
func trees(stream []byte) []map[string]any {
	var out []map[string]any
	docs, err := app.Documents(stream)
	if err != nil {
		return nil
	}
	for _, d := range docs {
		out = append(out, render.Decode(d))
	}
	return out
}

// newObject is an object of a new file; nil where the file holds something else.
func newObject(t map[string]any) *object {
	version, _ := t["apiVersion"].(string)
	kind, _ := t["kind"].(string)
	meta, _ := t["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	namespace, _ := meta["namespace"].(string)
	if version == "" || kind == "" || name == "" {
		return nil
	}
	o := render.Object{APIVersion: version, Kind: kind, Name: name, Namespace: namespace}
	return &object{id: o.ID(), tree: t}
}

// notHelms stands above a new namespace.
const notHelms = "# No part of what Helm installs, which cannot take over what is there before it:\n# kubectl apply -f this before helm install.\n"

// list names the new files in the kustomization, which decides what counts.
func (l *lifting) list(others []edit.Edit) {
	dir := l.app.Rendered.Source.Post()
	for _, e := range others {
		made := slices.ContainsFunc(l.want, func(o *object) bool { return o.made == e.File })
		if e.Create == nil || !made || l.files[e.File] == nil {
			continue
		}
		if l.app.Rendered.Source.Chart && render.OnlyNamespaces(l.files[e.File]) {
			l.files[e.File] = append([]byte(notHelms), l.files[e.File]...)
			continue
		}
		k := l.kustomization()
		if slices.Contains(render.Refs(k, l.files[k]), e.File) {
			continue
		}
		if out, ok := l.entry(l.files, "resources", strings.TrimPrefix(e.File, dir+"/")); ok {
			l.files = out
		}
	}
}

// grantAll finds places for all wishes. The likely ones are tried together, since
// they are right nearly always and every try is a rendering.
func (l *lifting) grantAll() {
	left, ok := l.measure(l.files)
	if !ok {
		return
	}
	l.left = left
	if l.app.Rendered.Source.Chart {
		l.together(l.wishes, l.surely)
		for _, w := range l.wishes {
			l.grant(w, l.valuePlaces(w))
		}
	}
	l.together(l.wishes, func(w *wish) try { return l.filePlaces(w)[0] })
	for _, w := range l.wishes {
		l.grant(w, l.filePlaces(w))
	}
}

// together tries one place of each wish, all at once; where that is not right, in
// halves. A wish that does not like its place is left open.
func (l *lifting) together(wishes []*wish, place func(*wish) try) {
	var some []*wish
	files := l.files
	for _, w := range wishes {
		if !l.open(w) {
			continue
		}
		t := place(w)
		if t == nil {
			continue
		}
		if out, ok := t(files); ok {
			files, some = out, append(some, w)
		}
	}
	if len(some) == 0 || l.accept(files, some...) || len(some) == 1 {
		return
	}
	l.together(some[:len(some)/2], place)
	l.together(some[len(some)/2:], place)
}

// accept takes files if they bring the objects nearer to what is intended, move
// nothing else and leave nothing of some wishes open.
func (l *lifting) accept(files edit.Files, some ...*wish) bool {
	left, ok := l.measure(files)
	if !ok || !nearer(left, l.left) {
		return false
	}
	for _, w := range some {
		if slices.ContainsFunc(w.keys, func(k string) bool { return left[k] }) {
			return false
		}
	}
	l.files, l.left = files, left
	return true
}

// A try changes files for a wish, where that is possible.
type try func(edit.Files) (edit.Files, bool)

// grant finds the first place for a wish that is right.
func (l *lifting) grant(w *wish, places []try) {
	if !l.open(w) {
		return
	}
	for _, t := range places {
		if files, ok := t(l.files); ok && l.accept(files, w) {
			return
		}
	}
}

// open says whether something of a wish has yet to be granted.
func (l *lifting) open(w *wish) bool {
	return slices.ContainsFunc(w.keys, func(k string) bool { return l.left[k] })
}

// nearer says whether now is a true part of before.
func nearer(now, before map[string]bool) bool {
	for k := range now {
		if !before[k] {
			return false
		}
	}
	return len(now) < len(before)
}

// grants says whether with files nothing of a wish is open.
func (l *lifting) grants(files edit.Files, w *wish) bool {
	left, ok := l.measure(files)
	return ok && !slices.ContainsFunc(w.keys, func(k string) bool { return left[k] })
}

// measure renders files and lists what differs from what is intended.
func (l *lifting) measure(files edit.Files) (map[string]bool, bool) {
	r, err := render.Render(render.NewTree(files, nil), l.app.Rendered.Source)
	if err != nil {
		return nil, false
	}
	left := map[string]bool{}
	used := map[int]bool{}
	for _, w := range l.want {
		i := slices.IndexFunc(r.Objects, func(o render.Object) bool { return o.ID() == w.id })
		if i < 0 && w.made != "" { // the namespace may be the transformer's to give
			i = slices.IndexFunc(r.Objects, func(o render.Object) bool {
				return o.Kind+"/"+o.Name == kindAndName(w.tree)
			})
		}
		if i < 0 || used[i] {
			left[w.id+" is missing"] = true
			continue
		}
		used[i] = true
		got, err := r.Objects[i].Tree()
		if err != nil {
			return nil, false
		}
		for _, d := range render.Differences(got, w.tree) {
			if w.made != "" && d.B == nil && len(d.Path) > 1 && d.Path[0] == "metadata" {
				continue // labels and annotations that the kustomization gives to all
			}
			left[w.id+" "+d.Key()] = true
		}
	}
	for i := range r.Objects {
		if !used[i] {
			left[r.Objects[i].ID()+" is more"] = true
		}
	}
	return left, true
}

func kindAndName(t map[string]any) string {
	kind, _ := t["kind"].(string)
	meta, _ := t["metadata"].(map[string]any)
	name, _ := meta["name"].(string)
	return kind + "/" + name
}

// verdict refuses what could not be brought home.
func (l *lifting) verdict(others []edit.Edit) {
	if l.left == nil {
		left, ok := l.measure(l.files)
		if !ok {
			left = map[string]bool{"": true}
		}
		l.left = left
	}
	for _, w := range l.wishes {
		if l.open(w) || l.left[""] {
			l.refuse(w.edit, w.obj, w.edit.Set.Path.String()+" has no place in "+l.app.Rendered.Source.String()+" that changes it and nothing else", "change it by hand")
		}
	}
	refused := map[string]bool{}
	for _, e := range others {
		for _, o := range l.want {
			missing := func(k string) bool { return l.left[k] && strings.HasPrefix(k, o.id+" ") }
			if e.Create != nil && !refused[e.File] && o.made == e.File && slices.ContainsFunc(slices.Collect(maps.Keys(l.left)), missing) {
				refused[e.File] = true
				l.refused = append(l.refused, Refused{&edit.Refused{Pos: app.Pos{File: e.File},
					Message: l.app.Rendered.Source.String() + " makes something else of what the new file holds", Hint: "add it by hand"}, e})
				break
			}
		}
	}
}

// refuseAll refuses every edit where something else moves that none of them was
// for: nobody knows which of them moved it.
func (l *lifting) refuseAll(others []edit.Edit) {
	what, _, _ := strings.Cut(slices.Min(slices.Collect(maps.Keys(l.left))), "]=") // a value may be a secret
	why := "with it something else changes in what " + l.app.Rendered.Source.String() + " gives: " + strings.Replace(what, " [", " ", 1)
	for _, w := range l.wishes {
		l.refuse(w.edit, w.obj, why, "change it by hand")
	}
	for _, e := range others {
		l.refused = append(l.refused, Refused{&edit.Refused{Pos: app.Pos{File: e.File}, Message: why, Hint: "change it by hand"}, e})
	}
}

func (l *lifting) refuse(e edit.Edit, o *app.Object, message, hint string) {
	pos := app.Pos{File: l.app.Rendered.Source.Dir}
	if o != nil && e.Set != nil {
		pos = o.Pos(e.Set.Path)
	}
	l.refused = append(l.refused, Refused{&edit.Refused{Pos: pos, Message: message, Hint: hint}, e})
}

// changed gives the files that differ.
func (l *lifting) changed(before edit.Files) edit.Files {
	out := edit.Files{}
	for name, content := range l.files {
		if was, old := before[name]; !old || !bytes.Equal(was, content) {
			out[name] = content
		}
	}
	return out
}
