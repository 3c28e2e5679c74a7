package edit

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A span is the bytes from start to end.
type span struct{ start, end int }

// findComments notes where the comments of a file stand, which docs are: what
// begins with "#" between its scalars.
func (t *text) findComments(docs []*yaml.Node) {
	if !slices.Contains(t.b, '#') {
		return
	}
	i := 0
	until := func(end int) {
		for ; i < end; i++ {
			if t.b[i] == '#' {
				from := i
				i = t.lineEnd(i)
				t.comments = append(t.comments, span{from, i})
			}
		}
	}
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		for _, c := range n.Content {
			look(c)
		}
		if n.Kind != yaml.ScalarNode && n.Kind != yaml.AliasNode {
			return
		}
		start := t.content(n)
		until(start)
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 { // a comment may follow the | or >
			until(t.lineEnd(start))
		}
		i = max(i, t.end(n))
	}
	for _, d := range docs {
		look(d)
	}
	until(len(t.b))
}

// texts gives the comments as they read, sorted.
func (t *text) texts() []string {
	var out []string
	for _, c := range t.comments {
		out = append(out, strings.TrimSpace(string(t.b[c.start:c.end])))
	}
	slices.Sort(out)
	return out
}

// keep makes lines, each after pad, of the comments from start to end, for where
// these bytes go away.
func (t *text) keep(start, end int, pad string) []string {
	var out []string
	i, _ := slices.BinarySearchFunc(t.comments, start, func(c span, at int) int { return c.start - at })
	for ; i < len(t.comments) && t.comments[i].start < end; i++ {
		c := t.comments[i]
		out = append(out, pad+strings.TrimRight(string(t.b[c.start:c.end]), " \t"))
	}
	return out
}

// cut puts text in place of the bytes from start to end, and the comments among
// them on lines above.
func (p *planner) cut(start, end int, text string) {
	line := p.t.lineStart(start)
	for _, c := range p.t.keep(start, end, p.t.indent(start)) {
		p.splice(line, line, c+p.t.newline(start))
	}
	p.splice(start, end, text)
}

// holds says whether sorted has every one of want, which is sorted too, as often
// as want has it.
func holds(sorted, want []string) bool {
	i := 0
	for _, w := range want {
		for i < len(sorted) && sorted[i] < w {
			i++
		}
		if i == len(sorted) || sorted[i] != w {
			return false
		}
		i++
	}
	return true
}
