package lift

import (
	"fmt"
	"maps"
	"slices"

	"road/internal/app"
	"road/internal/edit"

	"go.yaml.in/yaml/v3"
)

// valueOf gives the value of a key of a mapping, nil for none.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func textOf(n *yaml.Node, key string) string {
	if v := valueOf(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return v.Value
	}
	return ""
}

func hasText(key string, want any) func(*yaml.Node) bool {
	return func(n *yaml.Node) bool { return textOf(n, key) == fmt.Sprint(want) }
}

// nodeAt goes down a path, nil where it ends.
func nodeAt(n *yaml.Node, p app.Path) *yaml.Node {
	for _, e := range p {
		switch e := e.(type) {
		case string:
			n = valueOf(n, e)
		case int:
			if n == nil || n.Kind != yaml.SequenceNode || e >= len(n.Content) {
				return nil
			}
			n = n.Content[e]
		}
		if n == nil {
			return nil
		}
	}
	return n
}

// valueAt gives what stands at a path, in the form that edits take it.
func valueAt(v any, p app.Path) any { return editable(follow(v, p)) }

// follow goes down a path of a decoded value, nil where it ends.
func follow(v any, p app.Path) any {
	for _, e := range p {
		switch e := e.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[e]
		case int:
			list, _ := v.([]any)
			if e >= len(list) {
				return nil
			}
			v = list[e]
		}
	}
	return v
}

// editable gives a decoded value as edits take it.
func editable(v any) any {
	switch v := v.(type) {
	case map[string]any:
		var m edit.Map
		for _, k := range slices.Sorted(maps.Keys(v)) {
			m = append(m, edit.Field{Key: k, Value: editable(v[k])})
		}
		return m
	case []any:
		var list []any
		for _, item := range v {
			list = append(list, editable(item))
		}
		return list
	}
	return v
}
