package render

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	k8syaml "sigs.k8s.io/yaml"
)

// Tree decodes an object as a cluster would.
func (o *Object) Tree() (map[string]any, error) {
	var m map[string]any
	err := k8syaml.Unmarshal(o.Text, &m)
	return m, err
}

// ID names an object among those of one rendering.
func (o *Object) ID() string {
	return o.APIVersion + " " + o.Kind + " " + o.Namespace + "/" + o.Name
}

// A Difference is a place at which two objects differ; nil stands for nothing.
type Difference struct {
	Path []any
	A, B any
}

// Key names the place and what B has there.
func (d Difference) Key() string { return fmt.Sprintf("%v=%v", d.Path, d.B) }

// Differences lists the leaves at which two trees differ. A mapping that is empty
// is a leaf too.
func Differences(a, b any) []Difference { return differences(nil, "", a, b, nil) }

func differences(at []any, name string, a, b any, out []Difference) []Difference {
	am, aIs := a.(map[string]any)
	bm, bIs := b.(map[string]any)
	if aIs && bIs || aIs && b == nil && len(am) > 0 || bIs && a == nil && len(bm) > 0 {
		for _, k := range keysOf(am, bm) {
			out = differences(append(slices.Clone(at), k), k, am[k], bm[k], out)
		}
		return out
	}
	al, aList := a.([]any)
	bl, bList := b.([]any)
	if aList && bList || aList && b == nil && len(al) > 0 || bList && a == nil && len(bl) > 0 {
		al, bl = inOrder(name, al), inOrder(name, bl)
		for i := range max(len(al), len(bl)) {
			var x, y any
			if i < len(al) {
				x = al[i]
			}
			if i < len(bl) {
				y = bl[i]
			}
			out = differences(append(slices.Clone(at), i), "", x, y, out)
		}
		return out
	}
	if !reflect.DeepEqual(a, b) {
		out = append(out, Difference{at, a, b})
	}
	return out
}

func keysOf(a, b map[string]any) []string {
	var keys []string
	for k := range a {
		keys = append(keys, k)
	}
	for k := range b {
		if _, both := a[k]; !both {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// inOrder sorts a list whose order means nothing.
func inOrder(name string, list []any) []any {
	if l, ok := lists[name]; !ok || l.ordered {
		return list
	}
	if name == "env" && slices.ContainsFunc(list, func(v any) bool { return strings.Contains(fmt.Sprint(v), "$(") }) {
		return list // one variable may name another that stands before it
	}
	id := func(v any) string {
		m, _ := v.(map[string]any)
		if key := ItemKey(name, m); key != "" {
			return fmt.Sprint(m[key], m["protocol"])
		}
		return fmt.Sprint(v)
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y any) int { return strings.Compare(id(x), id(y)) })
	return list
}

// Decode gives the value of a document as a cluster would read it.
func Decode(doc *yaml.Node) map[string]any {
	text, err := yaml.Marshal(doc)
	if err != nil {
		return nil
	}
	var m map[string]any
	_ = k8syaml.Unmarshal(text, &m) // what is no mapping has no value here
	return m
}
