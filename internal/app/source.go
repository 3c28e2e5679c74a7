package app

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// A source is where an object stands: its node, which knows line and column.
type source struct {
	root  *yaml.Node
	lines lineMap
}

// pos finds the deepest part of path that stands. The place of a key's value is
// the key; the place of an item is the item.
func (s *source) pos(o *Object, path Path) Pos {
	if s == nil || s.root == nil {
		return Pos{File: o.File, Line: o.Line}
	}
	at, cur := s.root, s.root
	for _, e := range path {
		k, v := step(cur, e)
		if v == nil {
			break
		}
		at, cur = k, v
	}
	return Pos{File: o.File, Line: s.lines.line(at.Line), Column: at.Column}
}

func (s *source) has(path Path) bool {
	if s == nil || s.root == nil {
		return false
	}
	cur := s.root
	for _, e := range path {
		if _, cur = step(cur, e); cur == nil {
			return false
		}
	}
	return true
}

// step goes one element down: to the key and value of a mapping, or to an item,
// which is given twice.
func step(n *yaml.Node, elem any) (at, value *yaml.Node) {
	switch e := elem.(type) {
	case string:
		return lookup(n, e, 0)
	case int:
		n = resolve(n)
		if n != nil && n.Kind == yaml.SequenceNode && e >= 0 && e < len(n.Content) {
			return n.Content[e], n.Content[e]
		}
	}
	return nil, nil
}

// A lineMap turns YAML's line numbers into those of editors. YAML 1.1 also ends
// lines at a lone CR, at NEL and at the Unicode separators; nil is for files
// that have none of these, nearly all.
type lineMap []int

func (m lineMap) line(n int) int {
	if m == nil || n < 1 {
		return n
	}
	return m[min(n, len(m))-1]
}

// renumber gives every node of a tree its line as editors count it.
func (m lineMap) renumber(n *yaml.Node) {
	n.Line = m.line(n.Line)
	for _, c := range n.Content {
		m.renumber(c)
	}
}

func newLineMap(content []byte) lineMap {
	odd := bytes.Contains(content, []byte("\u0085")) || bytes.Contains(content, []byte("\u2028")) || bytes.Contains(content, []byte("\u2029"))
	if !odd && bytes.Count(content, []byte("\r")) == bytes.Count(content, []byte("\r\n")) {
		return nil
	}
	m := lineMap{1}
	line := 1
	for i := 0; i < len(content); {
		n, newline := LineBreak(content[i:])
		if newline {
			line++
		}
		if n > 0 {
			m = append(m, line)
		}
		i += max(n, 1)
	}
	return m
}

// LineBreak measures the line break that b begins with, 0 for none, and says
// whether it is one for everybody: besides LF and CRLF, YAML 1.1 has a lone CR, NEL
// and the Unicode separators.
func LineBreak(b []byte) (n int, newline bool) {
	switch {
	case len(b) == 0:
		return 0, false
	case bytes.HasPrefix(b, []byte("\r\n")):
		return 2, true
	case b[0] == '\n':
		return 1, true
	case b[0] == '\r':
		return 1, false
	case bytes.HasPrefix(b, []byte("\u0085")):
		return 2, false
	case bytes.HasPrefix(b, []byte("\u2028")), bytes.HasPrefix(b, []byte("\u2029")):
		return 3, false
	}
	return 0, false
}
