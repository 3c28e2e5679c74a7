package lift

import (
	"fmt"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// mostTries bounds how many keys of a chart are tried for one field.
const mostTries = 60

// valuePlaces lists the keys of a chart's values that may set what a wish wants:
// those whose names are like one on its way, and those that have the value which
// stands there now.
func (l *lifting) valuePlaces(w *wish) []try {
	r := l.app.Rendered
	keys := r.Keys()
	if keys == nil {
		return nil
	}
	own := w.edit.Set.Path[len(w.obj.Within):]
	if !l.open(w) {
		return nil
	}
	var tries []try
	add := func(memo string, key []string, rest app.Path, value any) {
		if len(tries) < mostTries {
			tries = append(tries, l.value(memo, w, key, rest, value))
		}
	}
	if ref, ok := w.edit.Set.Value.(string); ok && own[len(own)-1] == "image" {
		l.imageValues(keys.Same, imageOf(w), ref, func(key []string, value any) { add("", key, nil, value) })
	}
	for _, g := range keys.Guesses(own) {
		if at := l.goesTo(g.Key); len(at) > 0 && !at[goal(w, own[:g.From+1])] {
			continue
		}
		memo := fmt.Sprint(g.Key, own[g.From+1:], w.edit.Set.Value)
		add(memo, g.Key, own[g.From+1:], w.edit.Set.Value)
	}
	if now := w.obj.Value(w.edit.Set.Path); now != nil && w.edit.Set.Value != nil {
		for _, key := range keys.Same(now) {
			add("", key, nil, w.edit.Set.Value)
		}
	}
	return tries
}

// goal names a place of a wish's object.
func goal(w *wish, at app.Path) string { return fmt.Sprint(w.obj.Doc, at) }

// goesTo gives the places at which a key is known to come out: it or a mapping that
// it is in is put there as it is. None is known for keys that templates take apart.
func (l *lifting) goesTo(key []string) map[string]bool {
	out := map[string]bool{}
	keys := l.app.Rendered.Keys()
	for n := len(key); n > 0 && len(out) == 0; n-- {
		for _, p := range keys.Places(key[:n]) {
			at := app.Path(p.Path)
			for _, e := range key[n:] {
				at = at.Join(e)
			}
			out[fmt.Sprint(p.Object, at)] = true
		}
	}
	return out
}

// surely writes a wish to the chart's own values, where a mapping of these is known
// to come out at its place and nowhere else; nil where none is.
func (l *lifting) surely(w *wish) try {
	keys := l.app.Rendered.Keys()
	if keys == nil {
		return nil
	}
	own := w.edit.Set.Path[len(w.obj.Within):]
	for _, g := range keys.Guesses(own) {
		if !l.goesTo(g.Key)[goal(w, own[:g.From+1])] {
			continue
		}
		return func(files edit.Files) (edit.Files, bool) {
			names := l.app.Rendered.ValuesFiles()
			return l.setValue(files, names[len(names)-1], w, g.Key, own[g.From+1:], w.edit.Set.Value)
		}
	}
	return nil
}

// setValue sets a key in one file of values.
func (l *lifting) setValue(files edit.Files, name string, w *wish, key []string, rest app.Path, value any) (edit.Files, bool) {
	if files[name] == nil {
		return nil, false
	}
	var at app.Path
	for _, k := range key {
		at = at.Join(k)
	}
	set := *w.edit.Set
	set.Doc, set.Path, set.Value, set.Before = 0, at.Join(rest...), value, ""
	return with(files, edit.Edit{File: name, Set: &set})
}

// imageValues lists the keys that make up an image's name: of the whole of it, of
// its tag or of its digest.
func (l *lifting) imageValues(same func(any) [][]string, was, ref string, add func(key []string, value any)) {
	name, tag, digest := app.SplitRef(ref)
	oldName, oldTag, _ := app.SplitRef(was)
	for _, key := range same(was) {
		add(key, ref)
	}
	if name != oldName {
		return
	}
	if digest != "" {
		for _, key := range l.app.Rendered.Keys().Guesses([]any{"digest"}) {
			add(key.Key, digest)
		}
		tag += "@" + digest
	}
	for _, key := range append(same(oldTag), guessed(l.app, "tag")...) {
		add(key, tag)
	}
}

func guessed(a *app.App, name string) [][]string {
	var out [][]string
	for _, g := range a.Rendered.Keys().Guesses([]any{name}) {
		out = append(out, g.Key)
	}
	return out
}

// value sets a key of the values: in the chart's own, else in a file that goes
// over them.
func (l *lifting) value(memo string, w *wish, key []string, rest app.Path, value any) try {
	names := l.app.Rendered.ValuesFiles()
	return func(files edit.Files) (edit.Files, bool) {
		if memo != "" && l.bad[memo] {
			return nil, false
		}
		for _, name := range slices.Backward(names) {
			out, ok := l.setValue(files, name, w, key, rest, value)
			if !ok {
				continue
			}
			left, ok := l.measure(out)
			if ok && nearer(left, l.left) {
				return out, true
			}
		}
		if memo != "" && !strings.Contains(memo, "image") {
			l.bad[memo] = true
		}
		return nil, false
	}
}
