package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"
)

// fix asks the step for its edits, leaves out those of workloads that do not
// take them, and gives what would change; nil where nothing would. Workloads
// whose files refuse an edit are added to leftOut.
func (w *walker) fix(l *lane, p planned, leftOut map[string]string) (*change, error) {
	l.app.Stop = p.number
	edits, err := step.Plan(p.step, l.app)
	if err != nil {
		return nil, err
	}
	edits = without(edits, l.app, leftOut)
	files, err := read(l.dir, edits)
	if err != nil {
		return nil, err
	}
	after, refused := edit.Apply(files, edits)
	for _, r := range refused {
		for _, id := range inFile(l.app, r.File) {
			leftOut[id] = strings.TrimSuffix(r.Error()+" ("+r.Hint+")", " ()")
		}
	}
	if len(refused) > 0 {
		// A workload gets all of a step's edits or none: the image that runs as
		// somebody else needs the manifest that says so.
		edits = without(edits, l.app, leftOut)
		if after, refused = edit.Apply(files, edits); len(refused) > 0 {
			return nil, refused[0]
		}
	}
	c := &change{before: edit.Files{}, after: edit.Files{}}
	for name, content := range after {
		was, old := files[name]
		if old && string(was) == string(content) {
			continue
		}
		c.after[name] = content
		if old {
			c.before[name] = was
		}
	}
	if len(c.after) == 0 {
		return nil, nil
	}
	c.diff = edit.Diff(c.before, c.after)
	return c, nil
}

// read gives the content of every file that edits name and that is there.
func read(dir string, edits []edit.Edit) (edit.Files, error) {
	files := edit.Files{}
	for _, e := range edits {
		if _, ok := files[e.File]; ok {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(e.File)))
		if errors.Is(err, fs.ErrNotExist) && e.Create != nil {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read what to fix: %w", err)
		}
		files[e.File] = b
	}
	return files, nil
}

// without leaves out the edits that belong to workloads in leftOut alone: those
// of their objects, and those of Dockerfiles whose images nobody else runs.
func without(edits []edit.Edit, a *app.App, leftOut map[string]string) []edit.Edit {
	if len(leftOut) == 0 {
		return edits
	}
	var out []edit.Edit
	for _, e := range edits {
		owners := owners(e, a)
		stays := len(owners) == 0 && len(leftOut) < len(a.Workloads)
		for _, id := range owners {
			if _, gone := leftOut[id]; !gone {
				stays = true
			}
		}
		if stays {
			out = append(out, e)
		}
	}
	return out
}

// owners gives the workloads that an edit is for; none for an object that is no
// workload and for a new file.
func owners(e edit.Edit, a *app.App) []string {
	var ids []string
	for _, w := range a.Workloads {
		switch {
		case e.Set != nil && w.File == e.File && w.Doc == e.Set.Doc,
			e.Lines != nil && uses(w, a, e.File):
			ids = append(ids, w.ID())
		}
	}
	return ids
}

// uses says whether one of the workload's images is built from a Dockerfile.
func uses(w *app.Workload, a *app.App, dockerfile string) bool {
	for c := range w.Containers() {
		if i := a.Image(c.Spec.Image); i != nil && i.Build != nil && i.Build.Dockerfile.File == dockerfile {
			return true
		}
	}
	return false
}

// inFile gives the workloads that a file holds, or whose image it makes.
func inFile(a *app.App, file string) []string {
	var ids []string
	for _, w := range a.Workloads {
		if w.File == file || uses(w, a, file) {
			ids = append(ids, w.ID())
		}
	}
	return ids
}
