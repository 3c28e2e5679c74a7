package app

import (
	"path"

	"road/internal/render"

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

// patchFiles lists the files that a kustomization names as patches.
func patchFiles(name string, doc *yaml.Node) []string {
	var files []string
	for _, r := range render.Patches(top(doc)) {
		files = append(files, path.Join(path.Dir(name), r.Name))
	}
	return files
}
