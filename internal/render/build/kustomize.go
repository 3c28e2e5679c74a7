package build

import (
	"bytes"
	"fmt"
	"path"
	"strings"
	"sync"

	"road/internal/render"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
)

// building keeps builds one after the other: the library holds the schema that a
// kustomization may bring in a global variable.
var building sync.Mutex

// kustomize builds the kustomization of a folder.
func kustomize(t *render.Tree, s render.Source, dir string) (*render.Result, error) {
	top := t.Kustomization(dir)
	if top == "" {
		return nil, &render.Error{File: dir, Message: "no kustomization is here"}
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
		return nil, &render.Error{File: top, Line: 1, Message: "kustomize cannot build it: " + clean(err), Hint: "kustomize build " + dir + " says the same"}
	}
	r := &render.Result{Source: s, Tops: v.read}
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
			return nil, &render.Error{File: top, Line: 1, Message: "kustomize gives an object that is not YAML: " + err.Error()}
		}
		r.Objects = append(r.Objects, render.Object{Text: text, APIVersion: res.GetApiVersion(), Kind: res.GetKind(), Name: res.GetName(),
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
	if list := render.Value(m, "buildMetadata"); list != nil && list.Kind == yaml.SequenceNode {
		list.Content = append(list.Content, origins)
	} else {
		m.Content = append(m.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "buildMetadata"},
			&yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: []*yaml.Node{origins}})
	}
	return yaml.Marshal(&doc)
}

// closed refuses a kustomization that needs what is not in the tree.
func closed(t *render.Tree, name string, b []byte) error {
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil || len(doc.Content) == 0 {
		return nil // the library says what is wrong
	}
	top := doc.Content[0]
	for _, key := range []string{"helmCharts", "helmChartInflationGenerator"} {
		if n := render.Value(top, key); n != nil {
			return &render.Error{File: name, Line: n.Line, Message: key + " needs helm to be run, which road does not do", Hint: "render the chart into a file and list that under resources"}
		}
	}
	for _, r := range render.Named(top) {
		file := path.Join(path.Dir(name), r.Name)
		remote := strings.Contains(r.Name, "://") || strings.Contains(r.Name, "?ref=") || strings.HasPrefix(r.Name, "git@") ||
			strings.HasPrefix(r.Name, "github.com/")
		switch {
		case remote:
			return &render.Error{File: name, Line: r.Line, Message: r.Name + " lies in the network, which road does not ask", Hint: "copy it into the folder and name the copy"}
		case strings.HasPrefix(file, "..") || path.IsAbs(r.Name):
			return &render.Error{File: name, Line: r.Line, Message: r.Name + " leads out of the folder", Hint: "give road the folder that holds both"}
		case !t.Has(file) && !t.IsDir(file):
			return &render.Error{File: name, Line: r.Line, Message: r.Name + " is not there", Hint: "mend the entry or add the file"}
		}
	}
	return plugins(t, name, top)
}

// plugins refuses the configuration of a generator or transformer that reads from
// the network: kustomize's own may.
func plugins(t *render.Tree, name string, top *yaml.Node) error {
	for _, key := range []string{"generators", "transformers", "validators"} {
		for _, item := range render.Items(render.Value(top, key)) {
			text := []byte(item.Value)
			if b, err := t.ReadFile(path.Join(path.Dir(name), item.Value)); err == nil {
				text = b
			}
			if bytes.Contains(text, []byte("://")) {
				return &render.Error{File: name, Line: item.Line, Message: fmt.Sprintf("what is listed under %s names the network, which road does not ask", key), Hint: "use files instead"}
			}
		}
	}
	return nil
}
