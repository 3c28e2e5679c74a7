package app

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/render"
)

// pick says what of the application's files is rendered; nil where the manifests
// are taken as they are:
//
//  1. what road.yaml says, a kustomization or a chart;
//  2. nothing where it lists manifests;
//  3. else what lies at the top of PATH;
//  4. else the only kustomization that no other uses, or the only chart, below
//     PATH, where no manifest lies beside it.
func (l *loader) pick() *render.Source {
	c := l.app.Config
	switch {
	case l.source != nil:
		return l.source
	case l.single, l.root == "":
		return nil
	case c.Kustomization != "":
		return &render.Source{Dir: c.Kustomization}
	case c.Helm != nil:
		return l.chart(c.Helm)
	case len(c.Manifests) > 0:
		return nil
	}
	top := cmp.Or(l.app.Below, ".")
	kustomizations, charts := l.sources()
	switch {
	case slices.Contains(kustomizations, top):
		return &render.Source{Dir: top}
	case slices.Contains(charts, top):
		return &render.Source{Dir: top, Chart: true, Namespace: c.Namespace, Minor: c.Target.Minor}
	case len(charts) == 1 && len(kustomizations) == 0 && !l.loose(nil, charts):
		return &render.Source{Dir: charts[0], Chart: true, Namespace: c.Namespace, Minor: c.Target.Minor}
	}
	tops := l.tops(kustomizations)
	if len(tops) == 0 || len(charts) > 0 || l.loose(kustomizations, nil) {
		return nil
	}
	if len(tops) == 1 {
		return &render.Source{Dir: tops[0]}
	}
	l.app.Problems = append(l.app.Problems, Problem{Pos{File: l.kustomization(tops[0])},
		fmt.Sprintf("one of %d kustomizations that no other uses (%s): not rendered, their files are taken as they are", len(tops), strings.Join(tops, ", ")),
		"give the folder of the one that is meant, or name it in " + FileName + ": kustomization: " + tops[0], false})
	return nil
}

// chart gives the chart that road.yaml describes.
func (l *loader) chart(h *HelmConfig) *render.Source {
	dir := h.Chart
	if _, charts := l.sources(); dir == "" && len(charts) == 1 {
		dir = charts[0]
	}
	return &render.Source{Dir: cmp.Or(dir, "."), Chart: true, Release: h.Release, Namespace: cmp.Or(h.Namespace, l.app.Config.Namespace),
		Values: h.Values, Minor: l.app.Config.Target.Minor}
}

// sources lists the folders of kustomizations and of charts, without those that
// are part of another chart.
func (l *loader) sources() (kustomizations, charts []string) {
	for _, name := range slices.Sorted(maps.Keys(l.files)) {
		dir := path.Dir(name)
		switch {
		case isKustomization(name):
			kustomizations = append(kustomizations, dir)
		case path.Base(name) == "Chart.yaml" && l.anyBelow(path.Join(dir, "templates")):
			charts = append(charts, dir)
		}
	}
	part := func(dir string) bool {
		return slices.ContainsFunc(charts, func(c string) bool { return c != dir && (c == "." || strings.HasPrefix(dir, c+"/")) })
	}
	kustomizations = slices.DeleteFunc(kustomizations, func(d string) bool {
		return path.Base(d) == render.PostRender && slices.Contains(charts, path.Dir(d)) || part(d)
	})
	return slices.Compact(kustomizations), slices.DeleteFunc(slices.Clone(charts), part)
}

func (l *loader) anyBelow(dir string) bool {
	for name := range l.app.Names {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	for name := range l.files {
		if strings.HasPrefix(name, dir+"/") {
			return true
		}
	}
	return false
}

// kustomization gives the file of a folder's kustomization.
func (l *loader) kustomization(dir string) string {
	return render.NewTree(l.files, nil).Kustomization(dir)
}

// tops gives the folders whose kustomizations no other uses; components are for
// others to use.
func (l *loader) tops(kustomizations []string) []string {
	used := map[string]bool{}
	for _, dir := range kustomizations {
		name := l.kustomization(dir)
		for _, r := range render.Refs(name, l.files[name]) {
			used[r] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(kustomizations), func(dir string) bool {
		return used[dir] || bytes.Contains(l.files[l.kustomization(dir)], []byte("kind: Component"))
	})
}

// loose says whether a manifest lies outside of all kustomizations and charts.
func (l *loader) loose(kustomizations, charts []string) bool {
	used := map[string]bool{}
	for _, dir := range kustomizations {
		name := l.kustomization(dir)
		for _, r := range render.Refs(name, l.files[name]) {
			used[r] = true
		}
	}
	for name, content := range l.files {
		if isKustomization(name) || !l.isManifest(name, content) || used[name] || !bytes.Contains(content, []byte("kind:")) {
			continue
		}
		if !slices.ContainsFunc(charts, func(c string) bool { return strings.HasPrefix(name, c+"/") }) {
			return true
		}
	}
	return false
}

// widen gives the folder that holds what the kustomization in dir uses, where
// that lies beside dir and not in it, and the way down from there to dir. An
// overlay is an application only with its base. What lies beyond the widest folder
// that may be read is left to the rendering to refuse.
func widen(dir string) (root, below string) {
	root = dir
	top := widest(dir)
	done := map[string]bool{}
	todo := []string{dir}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		if done[at] {
			continue
		}
		done[at] = true
		for _, base := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
			content, err := os.ReadFile(filepath.Join(at, base))
			if err != nil {
				continue
			}
			for _, r := range render.Refs(base, content) {
				to := filepath.Join(at, filepath.FromSlash(r))
				info, err := os.Stat(to)
				if err != nil {
					continue
				}
				if info.IsDir() {
					todo = append(todo, to)
				} else {
					to = filepath.Dir(to)
				}
				for within(to, top) && !within(to, root) {
					root = filepath.Dir(root)
				}
			}
		}
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return dir, "."
	}
	return root, filepath.ToSlash(rel)
}

// widest gives the folder above dir beyond which nothing belongs to the same
// application: the top of its git repository; without one, what is right below a
// home or the second folder from the top of the disk. What lies beside that is
// not read for a name in a file.
func widest(dir string) string {
	home, _ := os.UserHomeDir() // "" is the parent of nothing
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		above := filepath.Dir(dir)
		if within(home, above) || strings.Count(above, string(filepath.Separator)) < 2 || filepath.Base(filepath.Dir(above)) == "home" {
			return dir
		}
		dir = above
	}
}

func within(name, dir string) bool {
	rel, err := filepath.Rel(dir, name)
	return err == nil && filepath.IsLocal(rel)
}

// fromBelow names the place of a fault as who gave the folder below sees it.
func fromBelow(err error, below string) error {
	from := func(name string) string {
		rel, err := filepath.Rel(filepath.FromSlash(below), filepath.FromSlash(name))
		if err != nil {
			return name
		}
		return filepath.ToSlash(rel)
	}
	var e *render.Error
	if errors.As(err, &e) {
		e.File = from(e.File)
	}
	var conf *ConfigError
	if errors.As(err, &conf) {
		for i := range conf.Problems {
			conf.Problems[i].File = from(conf.Problems[i].File)
		}
	}
	return err
}
