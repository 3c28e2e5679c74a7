package lift

import (
	"path"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// affixes gives what the last kustomization puts before and behind names.
func (l *lifting) affixes() (prefix, suffix string) {
	docs, err := app.Documents(l.files[l.kustomization()])
	if err != nil || len(docs) == 0 || len(docs[0].Content) == 0 {
		return "", ""
	}
	return textOf(docs[0].Content[0], "namePrefix"), textOf(docs[0].Content[0], "nameSuffix")
}

// rename gives new objects the names that come out of the last kustomization as
// they are meant. A name that has not its prefix gets it, there and where the new
// objects name each other.
func (l *lifting) rename(others []edit.Edit) {
	prefix, suffix := l.affixes()
	if prefix+suffix == "" {
		return
	}
	longer := map[string]string{}
	for _, w := range l.want {
		name := nameOf(w.tree)
		if w.made == "" || w.tree["kind"] == "Namespace" {
			continue
		}
		bare, a := strings.CutPrefix(name, prefix)
		bare, b := strings.CutSuffix(bare, suffix)
		if a && b && bare != "" {
			l.setName(w, bare)
			continue
		}
		longer[name] = prefix + name + suffix
		w.tree["metadata"].(map[string]any)["name"] = longer[name]
		w.id = newObject(w.tree).id
	}
	for _, w := range l.want { // a binding names its policy
		spec, _ := w.tree["spec"].(map[string]any)
		if policy, _ := spec["policyName"].(string); w.made != "" && longer[policy] != "" {
			spec["policyName"] = longer[policy]
			l.setIn(w, app.Path{"spec", "policyName"}, longer[policy], nameOf(w.tree))
		}
	}
}

func nameOf(t map[string]any) string {
	_, name, _ := strings.Cut(kindAndName(t), "/")
	return name
}

// setName changes a new object's name in its file.
func (l *lifting) setName(w *object, to string) {
	l.setIn(w, app.Path{"metadata", "name"}, to, nameOf(w.tree))
}

// setIn changes a place of the document of a new file that holds an object, which
// goes by name in the file or by that without what is put around it.
func (l *lifting) setIn(w *object, at app.Path, to, name string) {
	prefix, suffix := l.affixes()
	bare := strings.TrimSuffix(strings.TrimPrefix(name, prefix), suffix)
	for i, t := range trees(l.files[w.made]) {
		if kind, _ := w.tree["kind"].(string); nameOf(t) != name && nameOf(t) != bare || t["kind"] != kind {
			continue
		}
		if out, ok := with(l.files, edit.Edit{File: w.made, Set: &edit.Set{Doc: i, Path: at, Value: to}}); ok {
			l.files = out
		}
		return
	}
}

// madeHere says whether a wish names an object of a new file, and how it is called
// in that file.
func (l *lifting) madeHere(w *wish) (string, bool) {
	name, ok := w.edit.Set.Value.(string)
	if !ok || path.Dir(l.app.Rendered.Result.Objects[w.obj.Doc].From) == l.app.Rendered.Source.Post() {
		return "", false
	}
	prefix, suffix := l.affixes()
	for _, o := range l.want {
		if o.made != "" && nameOf(o.tree) == name {
			return strings.TrimSuffix(strings.TrimPrefix(name, prefix), suffix), true
		}
	}
	return "", false
}
