package lift

import (
	"maps"
	"path"
	"slices"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/render"
)

// breaks gives the changed files because of which another kustomization of the
// application's folder, one that uses them too, can be built no more. What it
// gives may change with them: its base is hardened too.
func breaks(a *app.App, files, after edit.Files) map[string]bool {
	if a.Rendered.Source.Chart || len(after) == 0 {
		return nil
	}
	now := maps.Clone(files)
	maps.Copy(now, after)
	bad := map[string]bool{}
	for _, dir := range beside(a, files) {
		used := uses(dir, files)
		shared := slices.DeleteFunc(slices.Collect(maps.Keys(after)), func(name string) bool { return !used[name] })
		if len(shared) == 0 || builds(a, now, dir) || !builds(a, files, dir) {
			continue
		}
		for _, name := range shared {
			bad[name] = true
		}
	}
	return bad
}

// builds says whether the kustomization in a folder can be built.
func builds(a *app.App, files edit.Files, dir string) bool {
	t := render.NewTree(files, nil)
	t.Root = a.Rendered.Disk
	_, err := render.Render(t, render.Source{Dir: dir})
	return err == nil
}

// beside lists the folders of the other kustomizations.
func beside(a *app.App, files edit.Files) []string {
	var dirs []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		dir := path.Dir(name)
		if render.NewTree(files, nil).Kustomization(dir) == name && !slices.Contains(a.Rendered.Result.Tops, name) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// uses gives the files that the kustomization in a folder names, and those that
// the ones that it uses name.
func uses(dir string, files edit.Files) map[string]bool {
	used := map[string]bool{}
	t := render.NewTree(files, nil)
	todo := []string{dir}
	for len(todo) > 0 {
		name := t.Kustomization(todo[0])
		todo = todo[1:]
		if name == "" || used[name] {
			continue
		}
		used[name] = true
		for _, to := range render.Refs(name, files[name]) {
			if files[to] != nil {
				used[to] = true
			} else {
				todo = append(todo, to)
			}
		}
	}
	return used
}
