package lift

import (
	"path"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/render"
)

// filePlaces lists where a wish may be written beside a chart's values, the best
// first, at least one:
//
//   - an image under images:, where that has the last word on it;
//   - a patch that has the place, since it wins over what is below;
//   - the object's own file;
//   - another patch of the object;
//   - a new patch of the kustomization that has the last word.
func (l *lifting) filePlaces(w *wish) []try {
	r := l.app.Rendered
	tries := l.imagePlaces(w)
	own := w.edit.Set.Path[len(w.obj.Within):]
	var last []try
	spots := r.Sites(w.obj, w.edit.Set.Path)
	if name, ok := l.madeHere(w); ok {
		// What the last kustomization brings is none of the base's business: others
		// may use it too.
		set := *w.edit.Set
		set.Value = name
		named := *w
		named.edit.Set = &set
		return append(tries, func(files edit.Files) (edit.Files, bool) { return l.patch(files, &named, own) },
			func(files edit.Files) (edit.Files, bool) { return l.patch(files, w, own) })
	}
	for _, s := range spots {
		if l.alone[s.File] {
			continue
		}
		t := l.spot(w, s)
		if as := l.asOwner(w, s); as != nil {
			literal, named := t, l.spot(as, s)
			t = func(files edit.Files) (edit.Files, bool) {
				if out, ok := named(files); ok && l.grants(out, w) {
					return out, true
				}
				return literal(files)
			}
		}
		switch {
		case s.Patch && s.Depth == len(s.Path), !s.Patch && s.Depth > 0:
			tries = append(tries, t)
		default:
			last = append(last, t)
		}
	}
	tries = append(tries, last...)
	return append(tries, func(files edit.Files) (edit.Files, bool) { return l.patch(files, w, own) })
}

// spot writes a wish where its place stands in a file.
func (l *lifting) spot(w *wish, s app.Site) try {
	set := *w.edit.Set
	set.Doc, set.Path = s.Doc, s.Path
	return func(files edit.Files) (edit.Files, bool) { return with(files, edit.Edit{File: s.File, Set: &set}) }
}

// with gives files with edits.
func with(files edit.Files, edits ...edit.Edit) (edit.Files, bool) {
	after, refused := edit.Apply(files, edits)
	if len(refused) > 0 {
		return nil, false
	}
	out := make(edit.Files, len(files)+len(after))
	for name, content := range files {
		out[name] = content
	}
	for name, content := range after {
		out[name] = content
	}
	return out, true
}

// imagePlaces names an image under images: of a kustomization that does so already.
func (l *lifting) imagePlaces(w *wish) []try {
	p := w.edit.Set.Path
	ref, isText := w.edit.Set.Value.(string)
	if len(p) == 0 || p[len(p)-1] != "image" || !isText {
		return nil
	}
	i, entry, file := l.app.Rendered.ImageEntry(imageOf(w))
	if entry == nil || l.alone[file] {
		return nil
	}
	name, tag, digest := app.SplitRef(ref)
	return []try{func(files edit.Files) (edit.Files, bool) {
		at := app.Path{"images", i}
		var edits []edit.Edit
		set := func(key, value string, there bool) {
			e := edit.Edit{File: file, Set: &edit.Set{Path: at.Join(key)}}
			if value != "" {
				e.Set.Value = value
			}
			if value != "" || there {
				edits = append(edits, e)
			}
		}
		has := func(key string) bool { return textOf(entry, key) != "" }
		was := textOf(entry, "newName")
		if was == "" {
			was = textOf(entry, "name")
		}
		if name != was {
			set("newName", name, true)
		}
		if tag != textOf(entry, "newTag") {
			set("newTag", tag, has("newTag"))
		}
		if digest != textOf(entry, "digest") {
			set("digest", digest, has("digest"))
		}
		return with(files, edits...)
	}}
}

// imageOf gives the image that stands where a wish wants another.
func imageOf(w *wish) string {
	s, _ := w.obj.Value(w.edit.Set.Path).(string)
	return s
}

// kustomization names the one that has the last word, be it there or not.
func (l *lifting) kustomization() string {
	dir := l.app.Rendered.Source.Post()
	if name := render.NewTree(l.files, nil).Kustomization(dir); name != "" {
		return name
	}
	return path.Join(dir, "kustomization.yaml")
}

// entry adds an entry to a list of the kustomization that has the last word, and
// makes the chart's post-renderer where there is none yet.
func (l *lifting) entry(files edit.Files, list string, value any) (edit.Files, bool) {
	name := l.kustomization()
	var edits []edit.Edit
	if files[name] == nil {
		edits = append(edits, l.postRender(name)...)
		made, ok := with(files, edits...)
		if !ok {
			return nil, false
		}
		files = made
	}
	docs, err := app.Documents(files[name])
	if err != nil || len(docs) == 0 || len(docs[0].Content) == 0 {
		return nil, false
	}
	n := 0
	if at := valueOf(docs[0].Content[0], list); at != nil {
		n = len(at.Content)
	}
	return with(files, edit.Edit{File: name, Set: &edit.Set{Path: app.Path{list, n}, Value: value}})
}

// patch writes a wish into a patch file of the kustomization that has the last
// word, and makes it where there is none yet.
func (l *lifting) patch(files edit.Files, w *wish, own app.Path) (edit.Files, bool) {
	dir := l.app.Rendered.Source.Post()
	version, kind, name, namespace := l.app.Rendered.Identity(w.obj)
	base := strings.ToLower(kind) + "-" + name + "-patch.yaml"
	file := path.Join(dir, base)
	if files[file] == nil {
		text := "apiVersion: " + version + "\nkind: " + kind + "\nmetadata:\n  name: " + name + "\n"
		if namespace != "" {
			text += "  namespace: " + namespace + "\n"
		}
		made, ok := with(files, edit.Edit{File: file, Create: []byte(text)})
		if !ok {
			return nil, false
		}
		if files, ok = l.entry(made, "patches", edit.Map{{Key: "path", Value: base}}); !ok {
			return nil, false
		}
	}
	docs, err := app.Documents(files[file])
	if err != nil || len(docs) != 1 || len(docs[0].Content) == 0 {
		return nil, false
	}
	set := *w.edit.Set
	set.Doc = 0
	var ok bool
	if files, set.Path, ok = l.walkTo(files, file, w, own); !ok {
		return nil, false
	}
	if len(set.Path) < len(own) { // a list whose items have no names goes in whole
		set.Value = valueAt(l.intended(w), own[:len(set.Path)])
	}
	if set.Value == nil {
		set.Value = edit.Null{}
	}
	return with(files, edit.Edit{File: file, Set: &set})
}

// walkTo goes down a path in a patch, and makes the items of lists on the way,
// by the names that they go by. The path that it gives is shorter where it ends
// at a list whose items have none.
func (l *lifting) walkTo(files edit.Files, file string, w *wish, own app.Path) (edit.Files, app.Path, bool) {
	var at app.Path
	for i, e := range own {
		if _, isIndex := e.(int); !isIndex {
			at = at.Join(e)
			continue
		}
		list, _ := own[max(i-1, 0)].(string)
		item, _ := follow(l.intended(w), own[:i+1]).(map[string]any)
		key := render.ItemKey(list, item)
		if key == "" {
			return files, at, true
		}
		docs, err := app.Documents(files[file])
		if err != nil {
			return nil, nil, false
		}
		items := nodeAt(docs[0].Content[0], at)
		id := valueAt(l.intended(w), own[:i+1].Join(key))
		if id == nil {
			return nil, nil, false
		}
		n := 0
		if items != nil {
			n = len(items.Content)
			if j := slices.IndexFunc(items.Content, hasText(key, id)); j >= 0 {
				at = at.Join(j)
				continue
			}
		}
		if i == len(own)-1 { // the item itself is what is set
			return files, at.Join(n), true
		}
		var ok bool
		if files, ok = with(files, edit.Edit{File: file, Set: &edit.Set{Path: at.Join(n), Value: edit.Map{{Key: key, Value: id}}}}); !ok {
			return nil, nil, false
		}
		at = at.Join(n)
	}
	return files, at, true
}

// intended gives the object of a wish as it shall be in the end.
func (l *lifting) intended(w *wish) any {
	return follow(l.want[w.obj.Doc].tree, w.obj.Within)
}
