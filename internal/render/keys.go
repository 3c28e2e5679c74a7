package render

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
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
	unset  map[string]bool // that only templates name
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
	k := &Keys{t: t, s: s, base: base, leaves: map[string]any{}, unset: map[string]bool{}}
	k.list(nil, values)
	for _, n := range named {
		if p := strings.Split(n, "."); !slices.ContainsFunc(k.names, func(o []string) bool { return slices.Equal(o, p) }) {
			k.names = append(k.names, p)
			k.unset[n] = true
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
// more into it. Those of all mappings of the values are found together, with one
// rendering where nothing is in the way.
func (k *Keys) Places(key []string) []Place {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.places == nil {
		k.places = map[string][]Place{}
		var mappings [][]string
		for _, name := range k.names {
			if _, leaf := k.leaves[strings.Join(name, ".")]; !leaf && !k.unset[strings.Join(name, ".")] {
				mappings = append(mappings, name)
			}
		}
		k.find(mappings)
	}
	id := strings.Join(key, ".")
	if _, leaf := k.leaves[id]; leaf {
		return nil
	}
	if _, known := k.places[id]; !known { // one that only templates name
		k.find([][]string{key})
	}
	return k.places[id]
}

// find fills in the places of some keys. Where they do not render together, or an
// object is gone, they are looked at in halves.
func (k *Keys) find(keys [][]string) {
	if len(keys) == 0 {
		return
	}
	all, ok := k.probe(keys)
	if !ok && len(keys) > 1 {
		k.find(keys[:len(keys)/2])
		k.find(keys[len(keys)/2:])
		return
	}
	for i, key := range keys {
		k.places[strings.Join(key, ".")] = all[i]
	}
}

// probe renders with one key more in each of some mappings, whose value says which
// it is, and gives where they come out.
func (k *Keys) probe(keys [][]string) (map[int][]Place, bool) {
	more := map[string]any{}
	for i, key := range keys {
		m := more
		for _, e := range key {
			below, ok := m[e].(map[string]any)
			if !ok {
				below = map[string]any{}
				m[e] = below
			}
			m = below
		}
		m[probe] = fmt.Sprint(probe, i)
	}
	text, err := k8syaml.Marshal(more)
	if err != nil {
		return nil, false
	}
	s := k.s
	s.Probing = true
	name := path.Join(s.Dir, probeFile)
	s.Values = append(slices.Clone(s.Values), name)
	t := &Tree{Files: maps.Clone(k.t.Files)}
	t.Files[name] = text
	r, err := Render(t, s)
	if err != nil {
		return nil, false
	}
	out := map[int][]Place{}
	for j := range k.base.Objects {
		o := &k.base.Objects[j]
		i := slices.IndexFunc(r.Objects, func(now Object) bool {
			return o.Kind == now.Kind && o.Name == now.Name && o.APIVersion == now.APIVersion
		})
		if i < 0 {
			return nil, false
		}
		tree, err := r.Objects[i].Tree()
		if err != nil {
			return nil, false
		}
		probes(nil, tree, func(at []any, n int) { out[n] = append(out[n], Place{j, at}) })
	}
	return out, true
}

// probes visits the mappings of a value that have a probe.
func probes(at []any, v any, visit func(at []any, n int)) {
	switch v := v.(type) {
	case map[string]any:
		for k, below := range v {
			if which, ok := strings.CutPrefix(fmt.Sprint(below), probe); ok && k == probe {
				if n, err := strconv.Atoi(which); err == nil {
					visit(at, n)
				}
				continue
			}
			probes(append(slices.Clone(at), k), below, visit)
		}
	case []any:
		for i, below := range v {
			probes(append(slices.Clone(at), i), below, visit)
		}
	}
}
