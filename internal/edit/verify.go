package edit

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// same says whether two trees mean the same: kinds, tags, values, anchors and
// the order of keys. Style, places and comments do not count.
func same(a, b *yaml.Node) bool {
	if a.Kind != b.Kind || a.Value != b.Value || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return false
	}
	if a.Kind != yaml.AliasNode && a.ShortTag() != b.ShortTag() {
		return false
	}
	for i := range a.Content {
		if !same(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// braces finds what a template engine has yet to replace: braces that are not
// part of a string, or that stand where a name does.
func braces(doc *yaml.Node, raw []byte) bool {
	want := []byte("{{")
	if !bytes.Contains(raw, want) {
		return false
	}
	var in int
	var structural bool
	var look func(n *yaml.Node, key string)
	look = func(n *yaml.Node, key string) {
		in += strings.Count(n.Value, "{{")
		if strings.Contains(n.Value, "{{") && (key == "image" || key == "name" || key == "namespace" || key == "kind") {
			structural = true
		}
		for i, c := range n.Content {
			switch {
			case n.Kind != yaml.MappingNode:
				look(c, key)
			case i%2 == 0:
				structural = structural || c.Kind != yaml.ScalarNode
				look(c, "")
			default:
				look(c, n.Content[i-1].Value)
			}
		}
	}
	look(doc, "")
	return structural || in < bytes.Count(raw, want)
}
