package app

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// A strict reads the nodes of road.yaml. It notes every fault with its line and
// goes on, so that all are told at once.
type strict struct {
	file     string // what is read, relative to Root
	problems []Problem
}

func (s *strict) fault(n *yaml.Node, hint, format string, args ...any) {
	s.problems = append(s.problems, Problem{
		Pos:     Pos{s.file, n.Line, n.Column},
		Message: fmt.Sprintf(format, args...),
		Hint:    hint,
	})
}

// A key is one key that a mapping may have, with what reads its value.
type key struct {
	name string
	read func(*yaml.Node)
}

// mapping reads a mapping with known keys.
func (s *strict) mapping(n *yaml.Node, what string, keys ...key) {
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	s.each(n, what, func(k, v *yaml.Node) {
		i := slices.Index(names, k.Value)
		if i < 0 {
			s.fault(k, fmt.Sprintf("%s has %s", what, list(names)), "unknown key %q in %s", k.Value, what)
			return
		}
		keys[i].read(v)
	})
}

// each visits the keys of a mapping in order; what is for messages. A value that
// is null counts as left out.
func (s *strict) each(n *yaml.Node, what string, visit func(k, v *yaml.Node)) {
	m := resolve(n)
	if m.Kind != yaml.MappingNode {
		s.fault(n, shapeOf(what), "%s is %s, and has to be a mapping", what, kindOf(m))
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], resolve(m.Content[i+1])
		switch {
		case k.Kind != yaml.ScalarNode:
			s.fault(k, "", "a key of %s is a word", what)
		case seen[k.Value]:
			s.fault(k, "", "key %q stands twice", k.Value)
		case v.Kind == yaml.ScalarNode && v.Tag == "!!null":
		default:
			visit(k, v)
		}
		seen[k.Value] = true
	}
}

// kindOf says what stands where something else should.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if len(n.Value) > 40 {
		return "a single value"
	}
	return fmt.Sprintf("the single value %q", n.Value)
}

// shapeOf shows a mapping as it is to be written, "" where its keys are the user's.
func shapeOf(what string) string {
	return map[string]string{
		"http":         "write http: {service: NAME, port: 8080, path: /}",
		"tcp":          "write tcp: {service: NAME, port: 6379}",
		"pod":          "write pod: {image: NAME, command: [PROGRAM, ARGUMENT]}",
		"from":         "write from: {workload: NAME}",
		"foothold":     "write foothold: {command: {service: NAME, port: 8080, path: \"/run?cmd={command}\"}}",
		"a way in":     "write {service: NAME, port: 8080, path: /PATH}",
		"a check":      "write {name: NAME, http: {service: NAME, port: 8080, path: /}}",
		"an exception": "write {step: STEP, workload: NAME, reason: why, until: YYYY-MM-DD}",
		"target":       `write target: {kubernetes: "1.33", runtime: containerd-1.7}`,
	}[what]
}

// items visits the items of a list.
func (s *strict) items(n *yaml.Node, what string, visit func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		s.fault(n, "write - in front of each item", "%s is %s, and has to be a list", what, kindOf(n))
		return
	}
	for _, v := range n.Content {
		visit(resolve(v))
	}
}

// str reads a string. A number or a truth value must be quoted to be one, as
// everywhere in Kubernetes.
func (s *strict) str(into *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		_, isBool := boolean(n)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!timestamp" || isBool {
			s.fault(n, "put it in quotes", "%s is a string", what)
			return
		}
		*into = n.Value
	}
}

// number reads an integer from low to high.
func (s *strict) number(into *int, low, high int, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		i, err := strconv.ParseInt(n.Value, 0, 64)
		switch {
		case n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil:
			s.fault(n, "", "%s is a number", what)
		case i < int64(low) || i > int64(min(high, math.MaxInt32)):
			s.fault(n, "", "%s is a number from %d to %d", what, low, high)
		default:
			*into = int(i)
		}
	}
}

func (s *strict) truth(into *bool, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		b, ok := boolean(n)
		if !ok {
			s.fault(n, "", "%s is true or false", what)
			return
		}
		*into = b
	}
}

// pattern reads a regular expression.
func (s *strict) pattern(into *string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s.str(into, what)(n)
		if _, err := regexp.Compile(*into); err != nil {
			s.fault(n, "the syntax is that of RE2: https://golang.org/s/re2syntax", "%s: %v", what, err)
		}
	}
}

func (s *strict) words(into *[]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s.items(n, what, func(n *yaml.Node) {
			var w string
			s.str(&w, "an item of "+what)(n)
			*into = append(*into, w)
		})
	}
}

// table reads a mapping from words to strings.
func (s *strict) table(into *map[string]string, what string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		*into = map[string]string{}
		s.each(n, what, func(k, v *yaml.Node) {
			var w string
			s.str(&w, k.Value)(v)
			(*into)[k.Value] = w
		})
	}
}

// list joins names as a sentence does: "a, b and c".
func list(names []string) string {
	var b []byte
	for i, n := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b = append(b, " and "...)
		case i > 0:
			b = append(b, ", "...)
		}
		b = append(b, n...)
	}
	return string(b)
}
