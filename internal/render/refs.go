package render

import (
	"bytes"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Ref is a file or folder that a kustomization names.
type Ref struct {
	Name string
	Line int
}

// Named lists what a kustomization names: files, folders and, among them, what
// lies elsewhere.
func Named(doc *yaml.Node) []Ref {
	var out []Ref
	add := func(n *yaml.Node) { out = append(out, ref(n)...) }
	for _, key := range []string{"resources", "bases", "components", "crds", "configurations", "generators", "transformers", "validators"} {
		for _, item := range Items(Value(doc, key)) {
			add(item)
		}
	}
	for _, item := range Items(Value(doc, "replacements")) {
		add(Value(item, "path"))
	}
	out = append(out, Patches(doc)...)
	add(Value(Value(doc, "openapi"), "path"))
	for _, key := range []string{"configMapGenerator", "secretGenerator"} {
		for _, item := range Items(Value(doc, key)) {
			add(Value(item, "env"))
			for _, f := range Items(Value(item, "envs")) {
				add(f)
			}
			for _, f := range Items(Value(item, "files")) {
				if f = follow(f); f != nil && f.Kind == yaml.ScalarNode {
					_, name, keyed := strings.Cut(f.Value, "=")
					if !keyed {
						name = f.Value
					}
					out = append(out, Ref{name, f.Line})
				}
			}
		}
	}
	return out
}

// ref is what a node names; nothing where it is a text of its own, as patches may
// stand in the kustomization itself.
func ref(n *yaml.Node) []Ref {
	if n = follow(n); n == nil || n.Kind != yaml.ScalarNode || n.Value == "" || strings.Contains(n.Value, "\n") {
		return nil
	}
	return []Ref{{n.Value, n.Line}}
}

// Patches lists the files that a kustomization names as patches: documents in them
// have the shape of objects and are none.
func Patches(doc *yaml.Node) []Ref {
	var out []Ref
	for _, item := range Items(Value(doc, "patchesStrategicMerge")) {
		out = append(out, ref(item)...)
	}
	for _, key := range []string{"patches", "patchesJson6902"} {
		for _, item := range Items(Value(doc, key)) {
			out = append(out, ref(Value(item, "path"))...)
		}
	}
	return out
}

// Refs lists the files and folders that a kustomization names, relative to the
// top of the tree; those that lead out of it begin with "..".
func Refs(name string, content []byte) []string {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil || len(doc.Content) == 0 {
		return nil
	}
	var out []string
	for _, r := range Named(doc.Content[0]) {
		if !strings.Contains(r.Name, "://") && !path.IsAbs(r.Name) {
			out = append(out, path.Join(path.Dir(name), r.Name))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func follow(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// Value gives the value of a key of a mapping, nil for none.
func Value(n *yaml.Node, key string) *yaml.Node {
	n = follow(n)
	for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

// Items gives the items of a list.
func Items(n *yaml.Node) []*yaml.Node {
	if n = follow(n); n != nil && n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return nil
}

// Apart lists the files beside a chart's post-renderer that its kustomization does
// not name and that hold namespaces. Helm cannot own these: the one of a release is
// there before the release is, and Helm refuses to take over what is there.
func Apart(t *Tree, s Source) []string {
	if !s.Chart {
		return nil
	}
	top := t.Kustomization(s.Post())
	content, _ := t.ReadFile(top)
	named := Refs(top, content)
	var out []string
	for _, name := range t.Below(s.Post()) {
		content, err := t.ReadFile(name)
		if path.Ext(name) == ".yaml" && err == nil && !slices.Contains(named, name) && OnlyNamespaces(content) {
			out = append(out, name)
		}
	}
	return out
}

// OnlyNamespaces says whether a manifest holds namespaces and nothing else.
func OnlyNamespaces(content []byte) bool {
	d := yaml.NewDecoder(bytes.NewReader(content))
	for n := 0; ; n++ {
		var doc struct {
			Kind string `yaml:"kind"`
		}
		err := d.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return n > 0
		}
		if err != nil || doc.Kind != "Namespace" {
			return false
		}
	}
}
