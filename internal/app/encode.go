package app

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// An encoder turns YAML nodes into JSON, as kubectl does before it sends a
// manifest, and remembers which node each byte came from.
type encoder struct {
	buf    []byte
	marks  []mark
	blank  map[*yaml.Node]bool // nodes to leave out: their faults are known
	twice  []*yaml.Node        // keys that stand twice in one mapping
	active map[*yaml.Node]bool // aliases on the way, to find circles
	budget int                 // nodes that may still be written: aliases can multiply
	depth  int
}

type mark struct {
	offset int
	node   *yaml.Node
}

// What one document may expand to. Aliases make small files mean big things.
const (
	maxNodes = 500_000
	maxDepth = 1_000
)

var (
	errTooBig  = errors.New("its aliases expand to more than road reads")
	errTooDeep = errors.New("it is nested deeper than road reads")
)

// node writes n. The error is for documents that alone by their size or depth
// cannot be meant.
func (e *encoder) node(n *yaml.Node) error {
	e.depth++
	switch e.budget--; {
	case e.budget < 0:
		return errTooBig
	case e.depth > maxDepth:
		return errTooDeep
	}
	defer func() { e.depth-- }()
	if n.Kind == yaml.AliasNode {
		return e.alias(n)
	}
	e.marks = append(e.marks, mark{len(e.buf), n})
	if e.blank[n] {
		e.buf = append(e.buf, "null"...)
		return nil
	}
	switch n.Kind {
	case yaml.MappingNode:
		return e.mapping(n)
	case yaml.SequenceNode:
		e.buf = append(e.buf, '[')
		for i, c := range n.Content {
			if i > 0 {
				e.buf = append(e.buf, ',')
			}
			if err := e.node(c); err != nil {
				return err
			}
		}
		e.buf = append(e.buf, ']')
	default:
		e.scalar(n)
	}
	return nil
}

func (e *encoder) alias(n *yaml.Node) error {
	if e.active[n] {
		return errors.New("an alias contains itself")
	}
	if e.active == nil {
		e.active = map[*yaml.Node]bool{}
	}
	e.active[n] = true
	defer delete(e.active, n)
	return e.node(n.Alias)
}

func (e *encoder) mapping(n *yaml.Node) error {
	fields, err := e.fields(n, nil, 0)
	if err != nil {
		return err
	}
	e.buf = append(e.buf, '{')
	for i, f := range fields {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.marks = append(e.marks, mark{len(e.buf), f.key})
		e.buf = appendString(e.buf, f.name)
		e.buf = append(e.buf, ':')
		if err := e.node(f.value); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, '}')
	return nil
}

type pair struct {
	name       string
	key, value *yaml.Node
}

// fields lists the keys of a mapping as they count: the last of two equal ones,
// and what is merged only where the mapping does not say otherwise. have are the
// pairs of the mappings that win over n.
func (e *encoder) fields(n *yaml.Node, have []pair, depth int) ([]pair, error) {
	if depth > maxMerge {
		return nil, errTooBig
	}
	own := len(have)
	var index map[string]int
	if len(n.Content) > 32 {
		index = map[string]int{}
		for i, f := range have {
			index[f.name] = i
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := resolve(n.Content[i])
		if isMerge(key) {
			continue
		}
		name := keyName(key)
		at, ok := index[name]
		if index == nil {
			at = slices.IndexFunc(have, func(f pair) bool { return f.name == name })
			ok = at >= 0
		}
		switch {
		case !ok:
			have = append(have, pair{name, n.Content[i], n.Content[i+1]})
			if index != nil {
				index[name] = len(have) - 1
			}
		case at >= own:
			e.twice = append(e.twice, n.Content[i])
			have[at] = pair{name, n.Content[i], n.Content[i+1]}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		for _, m := range merged(n.Content[i+1]) {
			if m = resolve(m); m.Kind != yaml.MappingNode {
				continue
			}
			if e.budget -= len(m.Content); e.budget < 0 {
				return nil, errTooBig
			}
			var err error
			if have, err = e.fields(m, have, depth+1); err != nil {
				return nil, err
			}
		}
	}
	return have, nil
}

// keyName gives a mapping's key as JSON has it, where every key is a string.
func keyName(k *yaml.Node) string {
	if b, ok := boolean(k); ok {
		return strconv.FormatBool(b)
	}
	return k.Value
}

func (e *encoder) scalar(n *yaml.Node) {
	if b, ok := boolean(n); ok {
		e.buf = strconv.AppendBool(e.buf, b)
		return
	}
	switch n.Tag {
	case "!!null":
		e.buf = append(e.buf, "null"...)
	case "!!int", "!!float":
		e.buf = appendNumber(e.buf, n.Value)
	case "!!binary":
		v := n.Value
		if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(v), "")); err == nil {
			v = string(b)
		}
		e.buf = appendString(e.buf, v)
	default:
		e.buf = appendString(e.buf, n.Value)
	}
}

// boolean reads a truth value. Kubernetes reads YAML 1.1, where yes, on and y
// mean true unless they are quoted; the parser of this package reads 1.2.
func boolean(n *yaml.Node) (value, ok bool) {
	if n.Kind != yaml.ScalarNode {
		return false, false
	}
	if n.Tag == "!!bool" && n.Value != "" {
		return n.Value[0] == 't' || n.Value[0] == 'T' || n.Value[0] == 'y' || n.Value[0] == 'Y', true
	}
	if n.Tag != "!!str" || n.Style != 0 || len(n.Value) > 3 {
		return false, false
	}
	switch n.Value {
	case "y", "Y", "yes", "Yes", "YES", "on", "On", "ON":
		return true, true
	case "n", "N", "no", "No", "NO", "off", "Off", "OFF":
		return false, true
	}
	return false, false
}

// appendNumber writes a YAML number as JSON has it; infinity and not-a-number,
// which JSON lacks, become strings.
func appendNumber(b []byte, s string) []byte {
	plain := strings.ReplaceAll(s, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return strconv.AppendInt(b, i, 10)
	}
	if i, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return strconv.AppendUint(b, i, 10)
	}
	f, err := strconv.ParseFloat(plain, 64)
	if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return appendString(b, s)
	}
	v, _ := json.Marshal(f)
	return append(b, v...)
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			v, _ := json.Marshal(s)
			return append(b, v...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// at finds the node that the byte at offset was written for.
func (e *encoder) at(offset int) *yaml.Node {
	i, found := slices.BinarySearchFunc(e.marks, offset, func(m mark, o int) int { return m.offset - o })
	if !found {
		i--
	}
	if i < 0 {
		return nil
	}
	return e.marks[i].node
}
