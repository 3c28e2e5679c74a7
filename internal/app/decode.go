package app

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/json"
)

// A fault is something wrong with one node.
type fault struct {
	node    *yaml.Node
	message string
	mild    bool // the value could be read all the same
}

// maxFaults is how many faults of one object are looked for.
const maxFaults = 20

// decode reads n into the value that fresh makes, as the API server would, and
// gives every fault with its node. strict makes an unknown key a fault.
func decode(n *yaml.Node, fresh func() any, strict bool) (any, []fault) {
	var faults []fault
	blank := map[*yaml.Node]bool{}
	for {
		e := &encoder{blank: blank, budget: maxNodes}
		if err := e.node(n); err != nil {
			return nil, append(faults, fault{n, err.Error(), false})
		}
		into := fresh()
		var unknown []error
		var err error
		if strict {
			unknown, err = json.UnmarshalStrict(e.buf, into)
		} else {
			err = json.UnmarshalCaseSensitivePreserveInts(e.buf, into)
		}
		if err == nil {
			return into, append(faults, keyFaults(n, e, unknown)...)
		}
		f := locate(n, e, err, fresh)
		faults = append(faults, f)
		if blank[f.node] || f.node == n || len(faults) == maxFaults {
			return nil, faults
		}
		blank[f.node] = true
	}
}

// keyFaults names the keys that stand twice and those that strict decoding does
// not know.
func keyFaults(n *yaml.Node, e *encoder, unknown []error) []fault {
	var faults []fault
	seen := map[*yaml.Node]bool{}
	for _, k := range e.twice {
		if !seen[k] {
			seen[k] = true
			faults = append(faults, fault{k, fmt.Sprintf("key %q stands twice", resolve(k).Value), true})
		}
	}
	for _, err := range unknown {
		at := n
		var fe json.FieldError
		if errors.As(err, &fe) {
			at = findDotted(n, fe.FieldPath())
		}
		faults = append(faults, fault{at, err.Error(), true})
	}
	return faults
}

// findDotted finds the node of a path such as spec.containers[0].image.
func findDotted(n *yaml.Node, path string) *yaml.Node {
	at := n
	for _, part := range strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' }) {
		var elem any = part
		if r := resolve(n); r.Kind == yaml.SequenceNode {
			var i int
			fmt.Sscan(part, &i)
			elem = i
		}
		k, v := step(n, elem)
		if v == nil {
			return at
		}
		at, n = k, v
	}
	return at
}

// locate finds the node that a decoder's error is about.
func locate(n *yaml.Node, e *encoder, err error, fresh func() any) fault {
	var te *gojson.UnmarshalTypeError
	if errors.As(err, &te) {
		msg := fmt.Sprintf("a %s, where %s belongs", te.Value, typeName(te.Type.String()))
		if te.Field != "" {
			msg = te.Field + ": " + msg
		}
		// The offset is behind a scalar, or behind the first byte of a list or mapping.
		return fault{e.at(int(te.Offset) - 1), msg, false}
	}
	// A type that decodes itself (a quantity, a time) names no place: leave out
	// one part after another and see with which one the fault goes away.
	return fault{culprit(n, err.Error(), fresh), strings.TrimPrefix(err.Error(), "json: "), false}
}

// culprit narrows an error down to the deepest node without which it is gone.
func culprit(n *yaml.Node, message string, fresh func() any) *yaml.Node {
	at := n
	for {
		var next *yaml.Node
		for _, c := range children(at) {
			e := &encoder{blank: map[*yaml.Node]bool{c: true}, budget: maxNodes}
			if e.node(n) != nil {
				return at
			}
			err := json.UnmarshalCaseSensitivePreserveInts(e.buf, fresh())
			if err == nil || err.Error() != message {
				next = c
				break
			}
		}
		if next == nil {
			return at
		}
		at = next
	}
}

// children gives the values below a node.
func children(n *yaml.Node) []*yaml.Node {
	var c []*yaml.Node
	for i, v := range n.Content {
		if n.Kind == yaml.SequenceNode || i%2 == 1 {
			c = append(c, resolve(v))
		}
	}
	return c
}

// typeName says what belongs somewhere in words of YAML instead of Go's.
func typeName(t string) string {
	t = strings.TrimLeft(t, "*")
	switch {
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"), strings.HasPrefix(t, "float"):
		return "a number"
	case t == "string":
		return "a string"
	case t == "bool":
		return "true or false"
	case strings.HasPrefix(t, "[]"):
		return "a list"
	case strings.HasPrefix(t, "map"):
		return "a mapping"
	}
	return "a " + t[strings.LastIndexByte(t, '.')+1:]
}
