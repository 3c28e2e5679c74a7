package render

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
)

// building keeps builds one after the other: the library holds the schema that a
// kustomization may bring in a global variable.
var building sync.Mutex

// kustomize builds the kustomization of a folder.
func kustomize(t *Tree, s Source, dir string) (*Result, error) {
	top := t.Kustomization(dir)
	if top == "" {
		return nil, &Error{File: dir, Message: "no kustomization is here"}
	}
	o := krusty.MakeDefaultOptions()
	o.LoadRestrictions = types.LoadRestrictionsNone // the tree is the restriction
	v := &view{t: t, top: top}
	building.Lock()
	m, err := krusty.MakeKustomizer(o).Run(v, path.Join("/", dir))
	building.Unlock()
	if v.fault != nil {
		return nil, v.fault
	}
	if err != nil {
		return nil, &Error{File: top, Line: 1, Message: "kustomize cannot build it: " + clean(err), Hint: "kustomize build " + dir + " says the same"}
	}
	r := &Result{Source: s, Tops: v.read}
	for _, res := range m.Resources() {
		from := ""
		if origin, _ := res.GetOrigin(); origin != nil {
			if origin.Path != "" {
				from = path.Join(dir, origin.Path)
			}
			_ = res.SetOrigin(nil)
		}
		if a := res.GetAnnotations(); len(a) == 0 {
			_ = res.SetAnnotations(nil)
		}
		text, err := res.AsYAML()
		if err != nil {
			return nil, &Error{File: top, Line: 1, Message: "kustomize gives an object that is not YAML: " + err.Error()}
		}
		r.Objects = append(r.Objects, Object{Text: text, APIVersion: res.GetApiVersion(), Kind: res.GetKind(), Name: res.GetName(),
			Namespace: res.GetNamespace(), From: from})
	}
	return r, nil
}

// clean puts the library's message on one line.
func clean(err error) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "'/", "'")), " ")
}

// withOrigins asks the library to note where every object comes from.
func withOrigins(b []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil || len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return b, nil // the library says what is wrong
	}
	m := doc.Content[0]
	origins := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: types.OriginAnnotations}
	if list := value(m, "buildMetadata"); list != nil && list.Kind == yaml.SequenceNode {
		list.Content = append(list.Content, origins)
	} else {
		m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "buildMetadata"},
			&yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{origins}})
	}
	return yaml.Marshal(&doc)
}

// A ref is a file or folder that a kustomization names.
type ref struct {
	name string
	line int
}

// refs lists what a kustomization names: files, folders and, among them, what
// lies elsewhere.
func refs(doc *yaml.Node) []ref {
	var out []ref
	add := func(n *yaml.Node) {
		n = follow(n)
		if n != nil && n.Kind == yaml.ScalarNode && n.Value != "" && !strings.Contains(n.Value, "\n") {
			out = append(out, ref{n.Value, n.Line})
		}
	}
	for _, key := range []string{"resources", "bases", "components", "crds", "configurations", "generators", "transformers", "validators", "patchesStrategicMerge"} {
		for _, item := range items(value(doc, key)) {
			add(item)
		}
	}
	for _, key := range []string{"patches", "patchesJson6902", "replacements"} {
		for _, item := range items(value(doc, key)) {
			add(value(item, "path"))
		}
	}
	add(value(value(doc, "openapi"), "path"))
	for _, key := range []string{"configMapGenerator", "secretGenerator"} {
		for _, item := range items(value(doc, key)) {
			add(value(item, "env"))
			for _, f := range items(value(item, "envs")) {
				add(f)
			}
			for _, f := range items(value(item, "files")) {
				if f = follow(f); f != nil && f.Kind == yaml.ScalarNode {
					_, name, keyed := strings.Cut(f.Value, "=")
					if !keyed {
						name = f.Value
					}
					out = append(out, ref{name, f.Line})
				}
			}
		}
	}
	return out
}

// closed refuses a kustomization that needs what is not in the tree.
func (t *Tree) closed(name string, b []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil || len(doc.Content) == 0 {
		return nil // the library says what is wrong
	}
	top := doc.Content[0]
	for _, key := range []string{"helmCharts", "helmChartInflationGenerator"} {
		if n := value(top, key); n != nil {
			return &Error{name, n.Line, key + " needs helm to be run, which road does not do", "render the chart into a file and list that under resources"}
		}
	}
	for _, r := range refs(top) {
		file := path.Join(path.Dir(name), r.name)
		remote := strings.Contains(r.name, "://") || strings.Contains(r.name, "?ref=") || strings.HasPrefix(r.name, "git@") ||
			strings.HasPrefix(r.name, "github.com/")
		switch {
		case remote:
			return &Error{name, r.line, r.name + " lies in the network, which road does not ask", "copy it into the folder and name the copy"}
		case strings.HasPrefix(file, "..") || path.IsAbs(r.name):
			return &Error{name, r.line, r.name + " leads out of the folder", "give road the folder that holds both"}
		case !t.Has(file) && !t.IsDir(file):
			return &Error{name, r.line, r.name + " is not there", "mend the entry or add the file"}
		}
	}
	return t.plugins(name, top)
}

// plugins refuses the configuration of a generator or transformer that reads from
// the network: kustomize's own may.
func (t *Tree) plugins(name string, top *yaml.Node) error {
	for _, key := range []string{"generators", "transformers", "validators"} {
		for _, item := range items(value(top, key)) {
			item = follow(item)
			text := []byte(item.Value)
			if b, err := t.ReadFile(path.Join(path.Dir(name), item.Value)); err == nil {
				text = b
			}
			if bytes.Contains(text, []byte("://")) {
				return &Error{name, item.Line, fmt.Sprintf("what is listed under %s names the network, which road does not ask", key), "use files instead"}
			}
		}
	}
	return nil
}

// Refs lists the files and folders that a kustomization names, relative to the
// top of the tree; those that lead out of it begin with "..".
func Refs(name string, content []byte) []string {
	var doc yaml.Node
	if err := yaml.Unmarshal(content, &doc); err != nil || len(doc.Content) == 0 {
		return nil
	}
	var out []string
	for _, r := range refs(doc.Content[0]) {
		if !strings.Contains(r.name, "://") && !path.IsAbs(r.name) {
			out = append(out, path.Join(path.Dir(name), r.name))
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

func value(n *yaml.Node, key string) *yaml.Node {
	n = follow(n)
	for i := 0; n != nil && n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

func items(n *yaml.Node) []*yaml.Node {
	if n = follow(n); n != nil && n.Kind == yaml.SequenceNode {
		return n.Content
	}
	return nil
}
