package build

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/render"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// A view is a tree as kustomize's library reads it: below /, and read only.
type view struct {
	filesys.FileSystem // panics for what a build does not do
	t                  *render.Tree
	top                string // the kustomization that is built
	read               []string
	fault              error // the first thing that is wrong with what was read
}

func local(name string) string {
	name = strings.TrimPrefix(path.Clean("/"+filepath.ToSlash(name)), "/")
	if name == "" {
		return "."
	}
	return name
}

func (v *view) IsDir(name string) bool  { return v.t.IsDir(local(name)) }
func (v *view) Exists(name string) bool { return v.t.Has(local(name)) || v.IsDir(name) }

func (v *view) CleanedAbs(name string) (filesys.ConfirmedDir, string, error) {
	l := local(name)
	switch {
	case v.t.IsDir(l):
		return filesys.ConfirmedDir(path.Join("/", l)), "", nil
	case v.t.Has(l):
		return filesys.ConfirmedDir(path.Join("/", path.Dir(l))), path.Base(l), nil
	}
	return "", "", fmt.Errorf("%s: no such file", l)
}

// ReadFile gives a file. A kustomization is looked through first: nothing that is
// not here is asked for, which the library would look for in the network.
func (v *view) ReadFile(name string) ([]byte, error) {
	l := local(name)
	b, err := v.t.ReadFile(l)
	if err != nil || !isKustomization(l) {
		return b, err
	}
	if !slices.Contains(v.read, l) {
		v.read = append(v.read, l)
	}
	if err := closed(v.t, l, b); err != nil {
		if v.fault == nil {
			v.fault = err
		}
		return nil, err
	}
	if l == v.top {
		return withOrigins(b)
	}
	return b, nil
}

func isKustomization(name string) bool {
	switch path.Base(name) {
	case "kustomization.yaml", "kustomization.yml", "Kustomization":
		return true
	}
	return false
}
