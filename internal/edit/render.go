package edit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// A style is how a file writes new lines: as its own are written.
type style struct {
	step int // spaces from a mapping to the one below its key
	dash int // spaces from a key to the dashes of the list below it
}

// lines renders a mapping or list that is not empty in block style, each line
// without its indentation by indent.
func (s style) lines(v any, indent int) []string {
	pad := strings.Repeat(" ", indent)
	var out []string
	switch v := v.(type) {
	case Map:
		for _, f := range v {
			key := pad + scalar(f.Key) + ":"
			if !full(f.Value) {
				out = append(out, key+" "+flow(f.Value))
				continue
			}
			below := indent + s.step
			if _, list := f.Value.([]any); list {
				below = indent + s.dash
			}
			out = append(append(out, key), s.lines(f.Value, below)...)
		}
	case []any:
		for _, item := range v {
			if !full(item) {
				out = append(out, pad+"- "+flow(item))
				continue
			}
			below := s.lines(item, indent+2)
			below[0] = pad + "- " + below[0][indent+2:]
			out = append(out, below...)
		}
	}
	return out
}

// full says whether a value is a mapping or list with something in it, which
// needs lines of its own.
func full(v any) bool {
	switch v := v.(type) {
	case Map:
		return len(v) > 0
	case []any:
		return len(v) > 0
	}
	return false
}

// flow renders a value on one line.
func flow(v any) string {
	var parts []string
	switch v := v.(type) {
	case Map:
		for _, f := range v {
			parts = append(parts, scalar(f.Key)+": "+flow(f.Value))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		for _, item := range v {
			parts = append(parts, flow(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	return scalar(v)
}

// scalar renders a scalar; a string is quoted only where YAML needs it.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		if plain(v) {
			return v
		}
		return quote(v)
	case Null:
		return "null"
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// quote puts a string in single quotes where that needs no escapes but double
// quotes would, else in double quotes.
func quote(s string) string {
	if strings.ContainsAny(s, `"\`) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return single(s)
	}
	return double(s)
}

func single(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// double escapes as YAML does, which differs from Go: no \x for bytes, no \U
// below 8 digits.
func double(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r) && r != '\ufeff':
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			fmt.Fprintf(&b, `\U%08X`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

var (
	safe   = regexp.MustCompile(`^[A-Za-z0-9/_.][A-Za-z0-9/_.:@=+()$^~% -]*$`)
	base60 = regexp.MustCompile(`^[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?$`)
)

// plain says whether a string means itself without quotes, to every reader:
// those of YAML 1.1, as Kubernetes' own, take yes and 1:30 for something else.
func plain(s string) bool {
	if !safe.MatchString(s) || base60.MatchString(s) || strings.HasSuffix(s, " ") || strings.HasSuffix(s, ":") || strings.Contains(s, ": ") {
		return false
	}
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	if s == "---" || s == "..." || strings.HasPrefix(s, "... ") {
		return false
	}
	return resolved(s) == "!!str"
}

// resolved gives the tag that a plain scalar has.
func resolved(s string) string {
	var n yaml.Node
	if yaml.Unmarshal([]byte(s), &n) != nil || len(n.Content) != 1 {
		return ""
	}
	return n.Content[0].Tag
}

// node makes the tree that a value means, for comparison with what was parsed.
func node(v any) *yaml.Node {
	switch v := v.(type) {
	case Map:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, f := range v {
			n.Content = append(n.Content, node(f.Key), node(f.Value))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, item := range v {
			n.Content = append(n.Content, node(item))
		}
		return n
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
	}
	s := scalar(v)
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: resolved(s), Value: s}
}

// valid says what is wrong with a value that no file can hold, "" for nothing.
func valid(v any) string {
	switch v := v.(type) {
	case Map:
		seen := map[string]bool{}
		for _, f := range v {
			if seen[f.Key] {
				return fmt.Sprintf("the key %q is given twice", f.Key)
			}
			seen[f.Key] = true
			if msg := valid(f.Value); msg != "" {
				return msg
			}
		}
	case []any:
		for _, item := range v {
			if msg := valid(item); msg != "" {
				return msg
			}
		}
	case string, bool, int, int64, float64, Null:
	default:
		return fmt.Sprintf("a value of type %T cannot be written", v)
	}
	return ""
}
