package lift

import (
	"fmt"
	"slices"

	"road/internal/app"
	"road/internal/edit"
)

// tieImages has new init containers of a chart's pods start from the image of the
// container that they work for, whichever the values name later: a literal in a
// patch would stay behind, and the pod would get the files of an older image.
func (l *lifting) tieImages() {
	r := l.app.Rendered
	if !r.Source.Chart || l.left == nil {
		return
	}
	for i := range r.Result.Objects {
		before, err := r.Result.Objects[i].Tree()
		if err != nil || i >= len(l.want) {
			continue
		}
		for at, pod := range podsOf("", l.want[i].tree) {
			for _, c := range items(pod, "initContainers") {
				if name, of := c["name"], worksFor(pod, c); of != nil && !hasInit(podsOf("", before)[at], name) {
					l.tie(l.want[i], at+"containers.[name="+fmt.Sprint(of)+"].image", at+"initContainers.[name="+fmt.Sprint(name)+"].image")
				}
			}
		}
	}
}

// tie has one field of an object follow another, if nothing else changes with it.
func (l *lifting) tie(o *object, from, to string) {
	kind, _ := o.tree["kind"].(string)
	this := edit.Map{{Key: "kind", Value: kind}, {Key: "name", Value: nameOf(o.tree)}}
	files, ok := l.entry(l.files, "replacements", edit.Map{
		{Key: "source", Value: append(slices.Clone(this), edit.Field{Key: "fieldPath", Value: from})},
		{Key: "targets", Value: []any{edit.Map{{Key: "select", Value: this}, {Key: "fieldPaths", Value: []any{to}}}}},
	})
	if !ok {
		return
	}
	if left, ok := l.measure(files); ok && len(left) == len(l.left) {
		l.files = files
	}
}

// podsOf finds the pods' specs in an object, by the way to them.
func podsOf(at string, tree map[string]any) map[string]map[string]any {
	spec, _ := tree["spec"].(map[string]any)
	if spec == nil {
		return nil
	}
	at += "spec."
	if spec["containers"] != nil {
		return map[string]map[string]any{at: spec}
	}
	for _, key := range []string{"template", "jobTemplate"} {
		if below, ok := spec[key].(map[string]any); ok {
			return podsOf(at+key+".", below)
		}
	}
	return nil
}

func items(pod map[string]any, list string) []map[string]any {
	var out []map[string]any
	all, _ := pod[list].([]any)
	for _, item := range all {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// worksFor gives the name of the container whose image an init container has.
func worksFor(pod, init map[string]any) any {
	for _, c := range items(pod, "containers") {
		if c["image"] == init["image"] && c["image"] != nil {
			return c["name"]
		}
	}
	return nil
}

func hasInit(pod map[string]any, name any) bool {
	return slices.ContainsFunc(items(pod, "initContainers"), func(c map[string]any) bool { return c["name"] == name })
}

// asOwner gives a wish for new init containers with images as the owner of a file
// writes them for the container: what a kustomization makes of that name later, it
// makes for both. nil where that is no other text.
func (l *lifting) asOwner(w *wish, s app.Site) *wish {
	p := w.edit.Set.Path
	at := slices.Index(p, any("initContainers"))
	docs, err := app.Documents(l.files[s.File])
	if at < 0 || err != nil {
		return nil
	}
	texts := map[any]string{}
	for j := 0; ; j++ {
		image := slices.Clone(p[:at]).Join("containers", j, "image")
		now := w.obj.Value(image)
		if now == nil {
			break
		}
		for _, c := range l.app.Rendered.Sites(w.obj, image) {
			if c.File == s.File && c.Depth == len(c.Path) && c.Doc < len(docs) && len(docs[c.Doc].Content) > 0 {
				if n := nodeAt(docs[c.Doc].Content[0], c.Path); n != nil && any(n.Value) != now {
					texts[now] = n.Value
				}
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	set := *w.edit.Set
	set.Value = renamed(set.Value, texts)
	other := *w
	other.edit.Set = &set
	return &other
}

// renamed gives containers with other images.
func renamed(v any, texts map[any]string) any {
	switch v := v.(type) {
	case edit.Map:
		v = slices.Clone(v)
		for i, f := range v {
			if text, ok := f.Value.(string); ok && f.Key == "image" && texts[text] != "" {
				v[i].Value = texts[text]
			}
		}
		return v
	case []any:
		v = slices.Clone(v)
		for i := range v {
			v[i] = renamed(v[i], texts)
		}
		return v
	}
	return v
}
