// Package render makes of a kustomization or a Helm chart the objects that a
// cluster would get. The libraries of the two do it (package build), in a program
// of its own, road-render: they are large, and every other command of road would
// pay for them with its memory. It reads files and nothing else: no network, no
// plugins.
//
// It says of every object which file it comes from, so that package app can name
// the place where its owner would change it.
package render

import (
	"bytes"
	"fmt"
	"path"
)

// A Source is what is rendered: the kustomization or the chart in a folder.
type Source struct {
	Dir   string // slash-separated, relative to the top of the files; "." is the top
	Chart bool   // it is a chart; else a kustomization

	// The following are for charts.

	Release   string   // name of the release; default: that of the chart
	Namespace string   // of the release; default: "default"
	Values    []string // files with values, the last wins; relative to the top of the files
	Minor     int      // of the Kubernetes 1.x that the chart is told of; default: the newest
	Probing   bool     // the values are not held against the schema: it may refuse what only asks where a key goes
}

// PostRender is the folder in a chart's own whose kustomization changes what the
// chart cannot: a post-renderer. Its resource Rendered is what the chart gave.
const PostRender = "post-render"

// Rendered is the name by which the objects of a chart go in its post-renderer.
const Rendered = "rendered.yaml"

// File gives the name of the stream of rendered objects. No file is called so.
func (s Source) File() string { return path.Join(s.Post(), "<rendered>.yaml") }

// Post gives the folder whose kustomization has the last word: the source's own,
// or that of the chart's post-renderer.
func (s Source) Post() string {
	if s.Chart {
		return path.Join(s.Dir, PostRender)
	}
	return s.Dir
}

// A Result is what rendering gave.
type Result struct {
	Source  Source
	Objects []Object
	Tops    []string // the kustomizations that were built, in the order in which they were read
	Hooks   []string // templates whose objects Helm runs at its own times and that are left out
	Notes   []Error  // what was passed by otherwise
}

// An Object is one rendered object.
type Object struct {
	Text       []byte
	APIVersion string
	Kind       string
	Name       string
	Namespace  string
	From       string // the file of the kustomization that it comes from; "" where it was generated
	Template   string // the chart's template that it comes from
}

// Stream puts all objects into one text, a document each.
func (r *Result) Stream() []byte {
	var b bytes.Buffer
	for i, o := range r.Objects {
		if i > 0 {
			b.WriteString("---\n")
		}
		b.Write(bytes.TrimRight(o.Text, "\n"))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// An Error is why a source cannot be rendered, with the place.
type Error struct {
	File    string
	Line    int
	Message string
	Hint    string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Message
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Message)
}

// String names a source.
func (s Source) String() string {
	if s.Chart {
		return "chart " + s.Dir
	}
	return "kustomization " + s.Dir
}
