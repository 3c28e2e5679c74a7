package edit

import (
	"bytes"
	"fmt"
	"slices"

	"road/internal/app"

	"go.yaml.in/yaml/v3"
)

// Apply gives the new content of every file that edits change; files itself is
// not changed. The result leaves out files with a refused edit, all of which
// the second value names, in order: either every edit of a file is done or none
// is.
func Apply(files Files, edits []Edit) (Files, []*Refused) {
	var order []string
	byFile := map[string][]Edit{}
	for _, e := range edits {
		if byFile[e.File] == nil {
			order = append(order, e.File)
		}
		byFile[e.File] = append(byFile[e.File], e)
	}
	out := Files{}
	var refused []*Refused
	for _, name := range order {
		old, exists := files[name]
		b, r := applyFile(name, old, exists, byFile[name])
		if r != nil {
			refused = append(refused, r...)
		} else if !exists || !bytes.Equal(b, old) {
			out[name] = b
		}
	}
	return out, refused
}

// applyFile does the edits of one file, which are all of one kind.
func applyFile(name string, b []byte, exists bool, edits []Edit) ([]byte, []*Refused) {
	no := func(format string, args ...any) []*Refused {
		return []*Refused{{Pos: app.Pos{File: name}, Message: fmt.Sprintf(format, args...)}}
	}
	var sets []*Set
	var lines []*Lines
	made := false // in parts, by these edits
	for _, e := range edits {
		switch {
		case e.Set != nil && e.Lines == nil && e.Create == nil:
			sets = append(sets, e.Set)
		case e.Lines != nil && e.Set == nil && e.Create == nil:
			lines = append(lines, e.Lines)
		case e.Create != nil && e.Set == nil && e.Lines == nil:
			if exists && !(made && e.Part) {
				return nil, no("the file exists already")
			}
			if !made {
				b = nil
			}
			b, exists, made = append(slices.Clip(b), e.Create...), true, e.Part
		default:
			return nil, no("an edit is exactly one of set, lines and create")
		}
	}
	switch {
	case !exists:
		return nil, no("there is no such file")
	case len(sets) > 0 && len(lines) > 0:
		return nil, no("edits of lines and of values do not go together")
	case len(sets) > 0:
		return applySets(name, b, sets)
	case len(lines) > 0:
		return applyLines(name, b, lines)
	}
	return b, nil
}

var bom = []byte("\ufeff")

// unparsed refuses a file that is not YAML.
func unparsed(name string, b []byte, err error) *Refused {
	line, msg := problem(err)
	if bytes.Contains(b, []byte("{{")) {
		return templateAt(name, b)
	}
	return &Refused{app.Pos{File: name, Line: line}, msg, "mend the file first"}
}

// templateAt refuses a file that is a manifest only after rendering, at its first
// braces.
func templateAt(name string, b []byte) *Refused {
	before, _, _ := bytes.Cut(b, []byte("{{"))
	return &Refused{
		Pos:     app.Pos{File: name, Line: bytes.Count(before, []byte("\n")) + 1},
		Message: "a template is not edited",
		Hint:    "change the template by hand, or edit what it renders to",
	}
}

func value(n *yaml.Node, key string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
