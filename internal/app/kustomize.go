package app

import (
	"path"

	"go.yaml.in/yaml/v3"
)

// isKustomization says that a file is kustomize's own and holds no objects.
func isKustomization(name string) bool {
	switch path.Base(name) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}

// patchFiles lists the files that a kustomization names as patches: documents
// in them have the shape of objects and are none.
func patchFiles(name string, doc *yaml.Node) []string {
	var files []string
	add := func(n *yaml.Node) {
		if f := text(n); f != "" {
			files = append(files, path.Join(path.Dir(name), f))
		}
	}
	for _, key := range []string{"patches", "patchesStrategicMerge", "patchesJson6902"} {
		list := resolve(field(top(doc), key))
		if list == nil || list.Kind != yaml.SequenceNode {
			continue
		}
		for _, item := range list.Content {
			add(item)
			add(field(item, "path"))
		}
	}
	return files
}
