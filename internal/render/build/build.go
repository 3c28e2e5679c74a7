// Package build renders kustomizations and Helm charts with the libraries of the
// two. Only the program road-render and tests may import it: see package render.
package build

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"log"
	"log/slog"
	"os"
	"path"

	"road/internal/render"
)

func init() { render.Here = Answer }

// Serve answers requests, one a line, until there are no more. The libraries log
// values, and one may be a password: what is wrong comes back in answers.
func Serve(in io.Reader, out io.Writer) error {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	log.SetOutput(io.Discard)
	r := bufio.NewReader(in)
	e := json.NewEncoder(out)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		var q render.Request
		if err := json.Unmarshal(line, &q); err != nil {
			return err
		}
		if err := e.Encode(Answer(q)); err != nil {
			return err
		}
	}
}

// Answer does what a request asks.
func Answer(q render.Request) (a render.Answer) {
	t := render.NewTree(q.Files, nil)
	if q.Root != "" {
		dir, err := os.OpenRoot(q.Root)
		if err != nil {
			return render.Answer{Fault: err.Error()}
		}
		defer dir.Close()
		t.Disk = dir.FS()
	}
	var err error
	if q.Values {
		a.Values, a.Named, err = values(t, q.Source)
	} else {
		a.Result, err = Render(t, q.Source)
	}
	if err != nil && !errors.As(err, &a.Error) {
		a.Fault = err.Error()
	}
	a.Read = map[string][]byte{}
	for name, content := range t.Files {
		if _, known := q.Files[name]; !known {
			a.Read[name] = content
		}
	}
	return a
}

// Render renders a source from the files of a tree.
func Render(t *render.Tree, s render.Source) (*render.Result, error) {
	if !s.Chart {
		return kustomize(t, s, s.Dir)
	}
	r, err := helm(t, s)
	if err == nil && t.Kustomization(s.Post()) != "" {
		r, err = postRender(t, s, r)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range render.Apart(t, s) {
		content, err := t.ReadFile(name)
		if err != nil {
			return nil, err
		}
		given := len(r.Objects)
		if err := add(r, name, string(content)); err != nil {
			return nil, err
		}
		for i := range r.Objects[given:] {
			o := &r.Objects[given+i]
			o.From, o.Template = o.Template, ""
		}
	}
	return r, nil
}

// postRender builds the kustomization beside a chart of what the chart gave.
func postRender(t *render.Tree, s render.Source, r *render.Result) (*render.Result, error) {
	post, err := kustomize(t.With(path.Join(s.Post(), render.Rendered), r.Stream()), s, s.Post())
	if err != nil {
		return nil, err
	}
	for i := range post.Objects {
		o := &post.Objects[i]
		if o.From == path.Join(s.Post(), render.Rendered) {
			o.From, o.Template = "", templateOf(r, o)
		}
	}
	post.Hooks, post.Notes = r.Hooks, r.Notes
	return post, nil
}

// templateOf finds the template of an object that the post-renderer may have changed.
func templateOf(r *render.Result, o *render.Object) string {
	for _, c := range r.Objects {
		if c.Kind == o.Kind && c.Name == o.Name {
			return c.Template
		}
	}
	return ""
}
