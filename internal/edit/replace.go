package edit

import (
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// replace gives the key or item at index at of n another value. What stands
// behind it on its line, and every comment, stays.
func (p *planner) replace(n *yaml.Node, at int) error {
	t, v := p.t, p.set.Value
	var key *yaml.Node
	old := n.Content[at]
	if n.Kind == yaml.MappingNode {
		key, old = old, n.Content[at+1]
	}
	want := node(v)
	want.Anchor = old.Anchor
	if same(old, want) {
		return nil
	}
	if old.Kind != yaml.AliasNode {
		if err := p.mayEnter(old); err != nil {
			return err
		}
	}
	block := len(old.Content) > 0 && old.Style&yaml.FlowStyle == 0
	switch {
	case block && full(v):
		return p.replaceBlock(key, old)
	case block:
		p.collapse(key, old, flow(v))
	case full(v):
		return p.fill(key, old, v)
	default:
		start, end := t.content(old), t.end(old)
		if old.Kind == yaml.ScalarNode && old.Value == "" && old.Style&^yaml.TaggedStyle == 0 {
			start = end
		}
		p.value(key, old, start, end, p.like(old, v))
	}
	p.become(old, v)
	return nil
}

// like renders a scalar with the quotes that the old one has.
func (p *planner) like(old *yaml.Node, v any) string {
	if p.json != nil {
		return p.flow(v, p.t.start(old))
	}
	s, ok := v.(string)
	printable := !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
	switch {
	case !ok || old.Kind != yaml.ScalarNode:
	case old.Style&yaml.DoubleQuotedStyle != 0:
		return double(s)
	case old.Style&yaml.SingleQuotedStyle != 0 && printable:
		return single(s)
	}
	return flow(v)
}

// replaceBlock writes a block collection in place of another, below the comments
// that stand in that.
func (p *planner) replaceBlock(key, old *yaml.Node) error {
	t, v := p.t, p.set.Value
	first, end := t.content(old), t.end(old)
	if err := p.plainPlace(old, first); err != nil {
		return err
	}
	indent := first - t.lineStart(first)
	nl := t.newline(end)
	if _, list := v.([]any); key != nil {
		indent = key.Column - 1 + p.style.step
		if list {
			indent = key.Column - 1 + p.style.dash
		}
	}
	lines := append(p.comment(strings.Repeat(" ", indent)), p.style.lines(v, indent)...)
	if key == nil {
		lines = p.style.lines(v, indent) // no line of its own behind the dash
		p.cut(first, end, strings.TrimLeft(strings.Join(lines, nl), " "))
	} else {
		lines = append(t.keep(first, end, strings.Repeat(" ", indent)), lines...)
		p.splice(t.lineStart(first), end, strings.Join(lines, nl))
	}
	p.become(old, v)
	return nil
}

// collapse writes a value on one line in place of a block collection: behind its
// key, or its dash. Of what is below a key, the comments stay there.
func (p *planner) collapse(key, old *yaml.Node, text string) {
	t := p.t
	end := t.end(old)
	if key == nil {
		p.cut(t.content(old), end, text)
		return
	}
	colon := t.end(key)
	for colon < len(t.b) && t.b[colon] != ':' {
		colon++
	}
	colon++
	if old.Anchor != "" || old.Style&yaml.TaggedStyle != 0 {
		colon = t.propertiesEnd(t.start(old))
	}
	p.splice(colon, colon, " "+text)
	from, nl := t.lineEnd(colon), t.newline(colon)
	if tail := t.keep(end, t.lineEnd(end), ""); tail != nil {
		end = t.lineEnd(end)
	}
	first := t.content(old)
	kept := t.keep(from, end, strings.Repeat(" ", first-t.lineStart(first)))
	p.splice(from, end, strings.Join(append([]string{""}, kept...), nl))
}

// remove takes the key or item at index at out of n. All comments stay: they may
// speak of more than it, or of why it was there. A mapping or list that has nothing
// left becomes {} or [].
func (p *planner) remove(key, n *yaml.Node, at int) error {
	t := p.t
	width := 1
	if n.Kind == yaml.MappingNode {
		width = 2
	}
	from, old := n.Content[at], n.Content[at+width-1]
	if old.Kind != yaml.AliasNode {
		if err := p.mayEnter(old); err != nil {
			return err
		}
	}
	start, end := t.start(from), t.end(old)
	var err error
	switch {
	case n.Style&yaml.FlowStyle != 0:
		p.removeFlow(n, at, width)
	case len(n.Content) == width && n == p.doc.Content[0]:
		return refuse(n, "", "%s is all that the document holds", p.set.Path)
	case len(n.Content) == width && width == 2:
		p.collapse(key, n, "{}")
	case len(n.Content) == width:
		p.collapse(key, n, "[]")
	default:
		err = p.removeLines(n, at, width, start, end)
	}
	n.Content = append(n.Content[:at:at], n.Content[at+width:]...)
	return err
}

// removeLines takes an entry out of a block collection that has others.
func (p *planner) removeLines(n *yaml.Node, at, width, start, end int) error {
	t := p.t
	if width == 1 { // to the dash
		for start--; start > 0 && (blank(t.b[start]) || breakLen(t.b[start:]) > 0); start-- {
		}
		if t.b[start] != '-' {
			return refuse(n, "", "%s: its dash cannot be found", p.set.Path)
		}
	}
	line := t.lineStart(start)
	if strings.TrimLeft(string(t.b[line:start]), " ") == "" {
		to := t.next(end)
		nl := t.newline(end)
		kept := strings.Join(t.keep(start, to, t.indent(start)), nl)
		switch last := to == len(t.b) && breakLen(t.b[t.lineEnd(end):]) == 0; { // the file goes on having no last line break
		case last && kept == "" && line > 0:
			line = t.lineEnd(t.lineStart(line - 1))
		case !last && kept != "":
			kept += nl
		}
		p.splice(line, to, kept)
		return nil
	}
	if at > 0 {
		return refuse(n, "", "%s does not stand on a line of its own", p.set.Path)
	}
	next := t.start(n.Content[width])
	if width == 1 {
		for next--; next > 0 && t.b[next] != '-'; next-- {
		}
	}
	p.cut(start, next, "")
	return nil
}

// removeFlow takes an entry out of a flow collection, with one of the commas
// beside it.
func (p *planner) removeFlow(n *yaml.Node, at, width int) {
	t := p.t
	start, end := t.start(n.Content[at]), t.end(n.Content[at+width-1])
	from, to := start, end
	if at > 0 {
		from = t.end(n.Content[at-1])
	} else if len(n.Content) > width {
		to = t.start(n.Content[width])
	}
	rest := strings.TrimLeft(string(t.b[end:t.lineEnd(end)]), " \t")
	behind, comma := strings.CutPrefix(rest, ",")
	behind = strings.TrimLeft(behind, " \t")
	indent := t.indent(start)
	alone := t.lineStart(start)+len(indent) == start && (behind == "" || behind[0] == '#')
	if !alone || t.keep(from, t.lineEnd(end), "") == nil {
		p.cut(from, to, "")
		return
	}
	// Its lines go, but for the comments on them; those of its neighbours stay theirs.
	if before := t.skip(from); at > 0 && !comma && t.b[before] == ',' {
		p.splice(before, before+1, "")
	}
	if kept := t.keep(start, t.lineEnd(end), indent); kept != nil {
		p.splice(t.lineStart(start), t.lineEnd(end), strings.Join(kept, t.newline(start)))
	} else {
		p.splice(t.lineStart(start), t.next(end), "")
	}
}
