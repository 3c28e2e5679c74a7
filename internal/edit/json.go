package edit

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A jsonStyle is how a JSON document is laid out: as kubectl writes it, or on one
// line.
type jsonStyle struct {
	step  string // one level of indentation; "" where all stands on one line
	colon string // ":" or ": "
	comma string // between values on one line
}

// jsonLike says that a document is JSON under another name: braces, and all keys
// of its top in double quotes.
func jsonLike(top *yaml.Node) bool {
	if top.Kind != yaml.MappingNode || top.Style&yaml.FlowStyle == 0 {
		return false
	}
	for i := 0; i < len(top.Content); i += 2 {
		if top.Content[i].Style&yaml.DoubleQuotedStyle == 0 {
			return false
		}
	}
	return true
}

func jsonStyleOf(t *text, top *yaml.Node) *jsonStyle {
	s := &jsonStyle{colon: ": ", comma: ", "}
	if len(top.Content) == 0 {
		return s
	}
	first := top.Content[0]
	start := t.start(first)
	if indent := t.indent(start); t.lineStart(start)+len(indent) == start && first.Line > top.Line {
		s.step = strings.TrimPrefix(indent, t.indent(t.start(top)))
	}
	if rest := t.b[t.end(first):]; top.Kind == yaml.MappingNode && len(rest) > 1 && rest[0] == ':' && !blank(rest[1]) && s.step == "" {
		s.colon, s.comma = ":", ","
	}
	return s
}

// render writes a value whose line begins with indent.
func (s *jsonStyle) render(v any, indent string) string {
	below, before, between, after := indent, "", s.comma, ""
	if s.step != "" {
		below += s.step
		before, between, after = "\n"+below, ",\n"+below, "\n"+indent
	}
	var parts []string
	switch v := v.(type) {
	case Map:
		for _, f := range v {
			parts = append(parts, s.field(f, below))
		}
		if len(parts) == 0 {
			return "{}"
		}
		return "{" + before + strings.Join(parts, between) + after + "}"
	case []any:
		for _, item := range v {
			parts = append(parts, s.render(item, below))
		}
		if len(parts) == 0 {
			return "[]"
		}
		return "[" + before + strings.Join(parts, between) + after + "]"
	case string:
		return quoteJSON(v)
	}
	return fmt.Sprint(scalar(v))
}

func (s *jsonStyle) field(f Field, indent string) string {
	return quoteJSON(f.Key) + s.colon + s.render(f.Value, indent)
}

func quoteJSON(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(s) // a string: cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

// flow renders a value inside a flow collection, on the line of offset at: in
// YAML on one line, in JSON as the document is laid out.
func (p *planner) flow(v any, at int) string {
	if p.json == nil {
		return flow(v)
	}
	nl := p.t.newline(at)
	return strings.ReplaceAll(p.json.render(v, p.t.indent(at)), "\n", nl)
}

// entry renders a key with its value for a flow mapping.
func (p *planner) entry(key string, v any, at int) string {
	if p.json == nil {
		return scalar(key) + ": " + flow(v)
	}
	return strings.ReplaceAll(p.json.field(Field{key, v}, p.t.indent(at)), "\n", p.t.newline(at))
}
