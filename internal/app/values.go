package app

import (
	"path"
	"slices"

	"road/internal/render"
)

// Keys gives the keys of the chart's values; nil where they cannot be read.
func (r *Rendered) Keys() *render.Keys {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil && r.Source.Chart {
		r.keys, _ = render.NewKeys(r.tree, r.Source, r.Result) // then the template is named
	}
	return r.keys
}

// ValuesFiles lists the files that may set a key of the chart's values, what wins
// in front.
func (r *Rendered) ValuesFiles() []string {
	files := slices.Clone(r.Source.Values)
	slices.Reverse(files)
	return append(files, path.Join(r.Source.Dir, "values.yaml"))
}

// valuesPos finds the key of the chart's values that a place of an object is made
// of.
func (r *Rendered) valuesPos(o *Object, at Path) (Pos, bool) {
	keys := r.Keys()
	if keys == nil {
		return Pos{}, false
	}
	for _, g := range keys.Guesses(at) {
		for _, p := range keys.Places(g.Key) {
			if p.Object == o.Doc && slices.Equal(Path(p.Path), at[:g.From+1]) {
				return r.keyPos(append(anyOf(g.Key), at[g.From+1:]...))
			}
		}
	}
	return Pos{}, false
}

func anyOf(key []string) []any {
	var p []any
	for _, k := range key {
		p = append(p, k)
	}
	return p
}

// keyPos gives the place of the longest part of a key that a file of values has.
func (r *Rendered) keyPos(key []any) (Pos, bool) {
	best, found := Pos{}, 0
	for _, name := range r.ValuesFiles() {
		docs := r.parsed(name)
		if len(docs) == 0 || top(docs[0]) == nil {
			continue
		}
		n := top(docs[0])
		for i, e := range key {
			k, v := step(n, e)
			if v == nil {
				break
			}
			n = v
			if i+1 > found {
				best, found = Pos{File: name, Line: k.Line, Column: k.Column}, i+1
			}
		}
	}
	return best, found > 0
}

// ChartName reads the name in a Chart.yaml, "" where it has none.
func ChartName(content []byte) string {
	docs, err := Documents(content)
	if err != nil || len(docs) == 0 {
		return ""
	}
	return text(field(top(docs[0]), "name"))
}
