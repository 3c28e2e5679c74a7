package render

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	k8syaml "sigs.k8s.io/yaml"
)

// probe is put into a value to see where it comes out.
const probe = "roadProbe"

// probeFile is the name of values that are tried.
const probeFile = "<probe>.yaml"

// Keys knows the keys of a chart's values and what they are for, which it finds by
// rendering with other values.
type Keys struct {
	t      *Tree
	s      Source
	base   *Result
	names  [][]string // of every mapping and every leaf, and those that only templates name
	leaves map[string]any
	mu     sync.Mutex
	places map[string][]Place
}

// A Place is one of an object, by its place in the Result.
type Place struct {
	Object int
	Path   []any
}

// NewKeys reads a chart's keys. base is what the chart gives as it is.
func NewKeys(t *Tree, s Source, base *Result) (*Keys, error) {
	a, err := ask(Request{Files: t.Files, Source: s, Values: true})
	if err != nil {
		return nil, err
	}
	values, named := a.Values, a.Named
	k := &Keys{t: t, s: s, base: base, leaves: map[string]any{}, places: map[string][]Place{}}
	k.list(nil, values)
	for _, n := range named {
		if p := strings.Split(n, "."); !slices.ContainsFunc(k.names, func(o []string) bool { return slices.Equal(o, p) }) {
			k.names = append(k.names, p)
		}
	}
	return k, nil
}

func (k *Keys) list(at []string, m map[string]any) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		p := append(slices.Clone(at), name)
		k.names = append(k.names, p)
		if below, ok := m[name].(map[string]any); ok {
			k.list(p, below)
			continue
		}
		k.leaves[strings.Join(p, ".")] = m[name]
	}
}

// A Guess is a key of the values that may be what sets a field.
type Guess struct {
	Key  []string
	From int // the element of the field's path that the key stands for
}

// Guesses lists the keys whose names are like one on the way to a field, the most
// specific first.
func (k *Keys) Guesses(at []any) []Guess {
	var out []Guess
	for i := len(at) - 1; i >= 0; i-- {
		e, ok := at[i].(string)
		if !ok || e == "spec" || e == "template" || e == "metadata" {
			continue
		}
		for want := 3; want > 0; want-- {
			for _, name := range k.names {
				if alike(name[len(name)-1], e) == want {
					out = append(out, Guess{name, i})
				}
			}
		}
	}
	return out
}

// alike says how much a key's name is like a field's, 0 for not at all.
func alike(key, field string) int {
	key, field = strings.ToLower(key), strings.ToLower(field)
	switch {
	case key == field:
		return 3
	case strings.Contains(key, field):
		return 2
	case len(key) > 4 && strings.Contains(field, key):
		return 1
	}
	return 0
}

// Same lists the keys of leaves that have a value now.
func (k *Keys) Same(v any) [][]string {
	var out [][]string
	for _, name := range k.names {
		if was, leaf := k.leaves[strings.Join(name, ".")]; leaf && was != nil && fmt.Sprint(was) == fmt.Sprint(v) {
			out = append(out, name)
		}
	}
	return out
}

// Places finds the mappings of objects that a key is put into, by putting one key
// more into it.
func (k *Keys) Places(key []string) []Place {
	k.mu.Lock()
	defer k.mu.Unlock()
	id := strings.Join(key, ".")
	if p, ok := k.places[id]; ok {
		return p
	}
	k.places[id] = k.find(key)
	return k.places[id]
}

func (k *Keys) find(key []string) []Place {
	if _, leaf := k.leaves[strings.Join(key, ".")]; leaf {
		return nil
	}
	var v any = map[string]any{probe: "1"}
	for _, e := range slices.Backward(key) {
		v = map[string]any{e: v}
	}
	text, err := k8syaml.Marshal(v)
	if err != nil {
		return nil
	}
	s := k.s
	s.Probing = true
	name := path.Join(s.Dir, probeFile)
	s.Values = append(slices.Clone(s.Values), name)
	t := &Tree{Files: maps.Clone(k.t.Files)}
	t.Files[name] = text
	r, err := Render(t, s)
	if err != nil {
		return nil
	}
	var out []Place
	for i := range r.Objects {
		now := &r.Objects[i]
		j := slices.IndexFunc(k.base.Objects, func(o Object) bool { return o.Kind == now.Kind && o.Name == now.Name && o.APIVersion == now.APIVersion })
		if j < 0 {
			continue
		}
		was, err1 := k.base.Objects[j].Tree()
		is, err2 := now.Tree()
		if err1 != nil || err2 != nil {
			continue
		}
		for _, d := range Differences(was, is) {
			if n := len(d.Path); n > 0 && d.Path[n-1] == probe {
				out = append(out, Place{j, d.Path[:n-1]})
			}
		}
	}
	return out
}
