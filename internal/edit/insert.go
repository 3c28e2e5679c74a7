package edit

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// insert makes a new key or item in n, whose own key is key.
func (p *planner) insert(key, n *yaml.Node, elem, value any) error {
	made := []any{value}
	var field Map
	if k, ok := elem.(string); ok {
		field = Map{{k, value}}
	}
	if len(n.Content) == 0 {
		if field != nil {
			return p.fill(key, n, field)
		}
		return p.fill(key, n, made)
	}
	at := len(n.Content)
	if field != nil {
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == p.set.Before && p.set.Before != "" {
				at = i
				break
			}
		}
	}
	var err error
	switch {
	case n.Style&yaml.FlowStyle != 0 && field != nil:
		p.insertFlow(n, at, func(i int) string { return p.entry(elem.(string), value, i) })
	case n.Style&yaml.FlowStyle != 0:
		p.insertFlow(n, at, func(i int) string { return p.flow(value, i) })
	case field != nil:
		err = p.insertField(n, at, field)
	default:
		err = p.insertItem(n, made)
	}
	if field != nil {
		n.Content = slices.Insert(n.Content, at, node(elem), node(value))
	} else {
		n.Content = append(n.Content, node(value))
	}
	return err
}

// comment gives the lines of the Set's comment: one, or none.
func (p *planner) comment(indent string) []string {
	c := strings.Join(strings.FieldsFunc(p.set.Comment, func(r rune) bool { return isSpace(r) || r < ' ' || r == 0x7f }), " ")
	if c == "" {
		return nil
	}
	return []string{indent + "# " + c}
}

// insertField puts a key into a block mapping, in front of the key at index at
// or at the end: behind the last line of content, so that comments which follow
// it stay with what they stand above.
func (p *planner) insertField(n *yaml.Node, at int, f Map) error {
	t := p.t
	first := t.start(n.Content[0])
	if err := p.plainPlace(n, first); err != nil {
		return err
	}
	indent := n.Content[0].Column - 1
	pad := strings.Repeat(" ", indent)
	lines := append(p.comment(pad), p.style.lines(f, indent)...)
	if at == len(n.Content) {
		end := t.lineEnd(t.end(n))
		nl := t.newline(end)
		p.splice(end, end, nl+strings.Join(lines, nl))
		return nil
	}
	start := t.start(n.Content[at])
	nl := t.newline(start)
	if prefix := t.b[t.lineStart(start):start]; len(strings.TrimLeft(string(prefix), " ")) > 0 {
		// The first key stands behind a dash: the new one takes its place.
		if c := p.comment(t.indent(start)); c != nil {
			p.splice(t.lineStart(start), t.lineStart(start), c[0]+nl)
			lines = lines[1:]
		}
		p.splice(start, start, strings.TrimLeft(strings.Join(lines, nl), " ")+nl+pad)
		return nil
	}
	from := t.lineStart(start)
	floor := 0
	if at > 0 {
		floor = t.next(t.end(n.Content[at-1]))
	}
	for from > floor { // comments right above a key belong to it
		above := t.lineStart(from - 1)
		if above < floor || !strings.HasPrefix(string(t.b[above:from]), pad+"#") {
			break
		}
		from = above
	}
	p.splice(from, from, strings.Join(lines, nl)+nl)
	return nil
}

// plainPlace refuses a block collection whose first line begins with anything
// but spaces and dashes, such as the explicit key "? ".
func (p *planner) plainPlace(n *yaml.Node, first int) error {
	if prefix := string(p.t.b[p.t.lineStart(first):first]); strings.Trim(prefix, " -") != "" {
		return refuse(n, "write the mapping on lines of its own", "%s: what stands in front of the mapping cannot be kept", p.set.Path)
	}
	return nil
}

// insertItem appends an item to a block list.
func (p *planner) insertItem(n *yaml.Node, item []any) error {
	t := p.t
	dash := t.content(n)
	if err := p.plainPlace(n, dash); err != nil {
		return err
	}
	indent := dash - t.lineStart(dash)
	lines := append(p.comment(strings.Repeat(" ", indent)), p.style.lines(item, indent)...)
	end := t.lineEnd(t.end(n))
	nl := t.newline(end)
	p.splice(end, end, nl+strings.Join(lines, nl))
	return nil
}

// insertFlow puts an entry into a flow collection; render makes its text for the
// line of an offset.
func (p *planner) insertFlow(n *yaml.Node, at int, render func(int) string) {
	t := p.t
	if at < len(n.Content) {
		start := t.start(n.Content[at])
		entry := render(start)
		p.flowComment(start)
		if indent := t.indent(start); t.lineStart(start)+len(indent) == start {
			p.splice(start, start, entry+","+t.newline(start)+indent)
		} else {
			p.splice(start, start, entry+p.comma())
		}
		return
	}
	last := len(n.Content) - 1
	entryStart := t.start(n.Content[last])
	if n.Kind == yaml.MappingNode {
		entryStart = t.start(n.Content[last-1])
	}
	end := t.end(n.Content[last])
	entry := render(entryStart)
	p.flowComment(end)
	indent := t.indent(entryStart)
	rest := strings.TrimLeft(string(t.b[end:t.lineEnd(end)]), " \t")
	comma := strings.HasPrefix(rest, ",")
	rest = strings.TrimLeft(strings.TrimPrefix(rest, ","), " \t")
	ownLine := t.lineStart(entryStart)+len(indent) == entryStart && (rest == "" || strings.HasPrefix(rest, "#"))
	switch {
	case ownLine && comma:
		p.splice(t.lineEnd(end), t.lineEnd(end), t.newline(end)+indent+entry+",")
	case ownLine:
		p.splice(end, end, ",")
		p.splice(t.lineEnd(end), t.lineEnd(end), t.newline(end)+indent+entry)
	default:
		p.splice(end, end, p.comma()+entry)
	}
}

// comma is what stands between two entries on one line.
func (p *planner) comma() string {
	if p.json != nil {
		return p.json.comma
	}
	return ", "
}

// flowComment puts the comment above the line of offset i: within a flow
// collection that is written on one line there is no place for it.
func (p *planner) flowComment(i int) {
	if p.json != nil {
		return // JSON has no comments
	}
	start := p.t.lineStart(i)
	for _, c := range p.comment(p.t.indent(i)) {
		p.splice(start, start, c+p.t.newline(i))
	}
}

// fill gives content to a value that is empty or null, or takes the place of one
// that stands on one line. In block style it goes on lines of its own below the
// key; a comment behind the key stays there.
func (p *planner) fill(key, n *yaml.Node, v any) error {
	t := p.t
	start, end := t.content(n), t.end(n)
	if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&^yaml.TaggedStyle == 0 {
		start = end // nothing stands there
	}
	if p.inFlow(n) {
		p.flowComment(start)
		p.value(key, n, start, end, p.flow(v, start))
		p.become(n, v)
		return nil
	}
	if key == nil && n == p.doc.Content[0] {
		return refuse(n, "", "the document is empty")
	}
	for start > 0 && start < end && blank(t.b[start-1]) {
		start--
	}
	nl := t.newline(end)
	if key == nil { // an item: its first line goes behind the dash
		indent := n.Column - 1
		if t.content(n) == t.end(n) {
			indent++
		}
		lines := p.style.lines(v, indent)
		p.cut(start, end, " "+strings.TrimLeft(strings.Join(lines, nl), " "))
		p.become(n, v)
		return nil
	}
	if err := p.plainPlace(n, t.start(key)); err != nil {
		return err
	}
	indent := key.Column - 1 + p.style.step
	if _, list := v.([]any); list {
		indent = key.Column - 1 + p.style.dash
	}
	pad := strings.Repeat(" ", indent)
	lines := slices.Concat(t.keep(start, end, pad), p.comment(pad), p.style.lines(v, indent))
	p.splice(start, end, "")
	p.splice(t.lineEnd(end), t.lineEnd(end), nl+strings.Join(lines, nl))
	p.become(n, v)
	return nil
}

// become makes n, in the tree, what v means; its anchor stays.
func (p *planner) become(n *yaml.Node, v any) {
	anchor := n.Anchor
	if n.Kind == yaml.AliasNode {
		anchor = ""
	}
	*n = *node(v)
	n.Anchor = anchor
}

// inFlow says whether n stands inside a flow collection.
func (p *planner) inFlow(n *yaml.Node) bool {
	return slices.ContainsFunc(p.way, func(above *yaml.Node) bool { return above != n && above.Style&yaml.FlowStyle != 0 })
}

// value writes a value on one line where the bytes from start to end hold the
// old one; of an empty one it also makes the space, or in {a} the colon.
func (p *planner) value(key, n *yaml.Node, start, end int, text string) {
	if start == end {
		if key != nil && !strings.Contains(string(p.t.b[p.t.end(key):end]), ":") {
			text = ":" + " " + text
		} else if start > 0 && !blank(p.t.b[start-1]) {
			text = " " + text
		}
	}
	p.cut(start, end, text)
}
