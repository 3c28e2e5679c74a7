package walk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	files, err := read(l, edits)
	if err != nil {
		return nil, err
	}
	after, refused := step.Apply(l.app, files, edits, leftOut)
	for _, r := range refused {
		if len(step.Workloads(l.app, r.File)) == 0 {
			return nil, r
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

// read gives the content of every file that edits name and that is there, and of
// those that the application is rendered from.
func read(l *lane, edits []edit.Edit) (edit.Files, error) {
	files := edit.Files{}
	stream := ""
	if r := l.app.Rendered; r != nil {
		files, stream = l.app.Files(), r.Source.File()
	}
	for _, e := range edits {
		if _, ok := files[e.File]; ok || e.File == stream {
			continue
		}
		b, err := os.ReadFile(filepath.Join(l.dir, filepath.FromSlash(e.File)))
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
