package app

import (
	gojson "encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"go.yaml.in/yaml/v3"
)

// unknown finds the keys that the type they are read into has no field for, which
// the decoder drops in silence and kubectl refuses. It goes down nodes and types
// together, so it knows the place of each and what could have been meant; it costs
// a second way through, so ask it only once the decoder says that there are any.
func unknown(n *yaml.Node, t reflect.Type) []fault {
	u := &unknowns{seen: map[*yaml.Node]bool{}}
	u.visit(n, t, nil)
	return u.faults
}

type unknowns struct {
	faults []fault
	seen   map[*yaml.Node]bool // keys that were told of: aliases lead to them again
}

var decodesItself = reflect.TypeFor[gojson.Unmarshaler]()

func (u *unknowns) visit(n *yaml.Node, t reflect.Type, at Path) {
	n = resolve(n)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case reflect.PointerTo(t).Implements(decodesItself):
	case t.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		for i, c := range n.Content {
			u.visit(c, t.Elem(), at.Join(i))
		}
	case n.Kind != yaml.MappingNode:
	case t.Kind() == reflect.Map:
		for _, p := range pairs(n) {
			u.visit(p.value, t.Elem(), at.Join(p.name))
		}
	case t.Kind() == reflect.Struct:
		fields := map[string]reflect.Type{}
		jsonFields(t, fields)
		for _, p := range pairs(n) {
			if ft := fields[p.name]; ft != nil {
				u.visit(p.value, ft, at.Join(p.name))
			} else {
				u.tell(p, fields, at)
			}
		}
	}
}

func (u *unknowns) tell(p pair, fields map[string]reflect.Type, at Path) {
	// What begins with $ tells a strategic merge what to do; sops, at the top of what
	// it has encrypted, is taken out with its keys.
	if u.seen[p.key] || len(u.faults) == maxFaults || strings.HasPrefix(p.name, "$") || len(at) == 0 && p.name == "sops" {
		return
	}
	u.seen[p.key] = true
	message := fmt.Sprintf("unknown field %q", p.name)
	hint := ""
	if near := nearest(p.name, fields); near != "" {
		hint = fmt.Sprintf("did you mean %s?", near)
	}
	u.faults = append(u.faults, fault{node: p.key, message: message, hint: hint, mild: true, unknown: at.Join(p.name)})
}

// pairs gives a mapping's keys as they count. A mapping that was decoded has no more
// of them than the encoder takes.
func pairs(n *yaml.Node) []pair {
	out, _ := (&encoder{budget: maxNodes}).fields(n, nil, 0)
	return out
}

// jsonFields lists the fields of a struct by their names in JSON.
func jsonFields(t reflect.Type, into map[string]reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-", !f.IsExported() && !f.Anonymous:
		case f.Anonymous && name == "":
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			jsonFields(inner, into)
		case name == "":
			into[f.Name] = f.Type
		default:
			into[name] = f.Type
		}
	}
}

// nearest finds the name that was hardly meant otherwise: written in other case, or
// with a third of its letters wrong at most. "" where none is, and of names that are
// equally near the first of the alphabet.
func nearest(name string, fields map[string]reflect.Type) string {
	best, least := "", (len(name)+1)/3+1
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		d := levenshtein.Distance(name, f, nil)
		if strings.EqualFold(name, f) {
			d = 0
		}
		if d < least {
			best, least = f, d
		}
	}
	return best
}

// explain says who lists the fields that may stand where an unknown one does.
func (o *Object) explain(unknown Path) string {
	at := strings.ToLower(o.Kind)
	for _, e := range unknown[:len(unknown)-1] {
		if key, ok := e.(string); ok {
			at += "." + key
		}
	}
	return "kubectl explain " + at + " lists what may stand here"
}

// lacksContainers says that a workload is none for want of what a misspelt field
// holds: without one, a document like it is a patch for another.
func (o *Object) lacksContainers(faults []fault) (Problem, bool) {
	w := podsOf(o)
	if w == nil {
		return Problem{}, false
	}
	at := w.PodPath[len(o.Within):]
	misspelt := slices.ContainsFunc(faults, func(f fault) bool {
		return f.unknown != nil && onTheWay(f.unknown[:len(f.unknown)-1], at.Join(string(Normal)))
	})
	imaged := false
	for _, c := range w.Pod.Containers {
		imaged = imaged || c.Image != ""
	}
	if !misspelt || imaged {
		return Problem{}, false
	}
	what := "has no containers"
	if len(w.Pod.Containers) > 0 {
		what = "has no container with an image"
	}
	read := workload(o) != nil
	hint := "mend the unknown field; until then the workload is passed by"
	if read {
		hint = "mend the unknown field"
	}
	return Problem{o.Pos(at.Join(string(Normal))), w.ID() + " " + what, hint, !read}, true
}

// onTheWay says whether p lies on the way to the list, or is an item of it.
func onTheWay(p, list Path) bool {
	if len(p) > len(list)+1 {
		return false
	}
	n := min(len(p), len(list))
	return slices.Equal(p[:n], list[:n])
}
