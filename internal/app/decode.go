package app

import (
	gojson "encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/json"
)

// A fault is something wrong with one node.
type fault struct {
	node    *yaml.Node
	message string
	hint    string
	mild    bool // the value could be read all the same
	unknown Path // of an unknown field, from where decoding began
}

// maxFaults is how many faults of one object are looked for.
const maxFaults = 20

// decode reads n into the value that fresh makes, as the API server would, and
// gives every fault with its node.
func decode(n *yaml.Node, fresh func() any) (any, []fault) {
	var faults []fault
	blank := map[*yaml.Node]bool{}
	for {
		e := &encoder{blank: blank, budget: maxNodes}
		if err := e.node(n); err != nil {
			return nil, append(faults, fault{node: n, message: err.Error()})
		}
		into := fresh()
		strict, err := json.UnmarshalStrict(e.buf, into, json.DisallowUnknownFields)
		if err == nil {
			faults = append(faults, keysTwice(e)...)
			if len(strict) > 0 {
				faults = append(faults, unknown(n, reflect.TypeOf(into))...)
			}
			return into, faults
		}
		f := locate(n, e, err, fresh)
		faults = append(faults, f)
		if blank[f.node] || f.node == n || len(faults) == maxFaults {
			return nil, faults
		}
		blank[f.node] = true
	}
}

// keysTwice names the keys that stand twice.
func keysTwice(e *encoder) []fault {
	var faults []fault
	seen := map[*yaml.Node]bool{}
	for _, k := range e.twice {
		if !seen[k] {
			seen[k] = true
			faults = append(faults, fault{node: k, message: fmt.Sprintf("key %q stands twice", resolve(k).Value), hint: "take one of the two out", mild: true})
		}
	}
	return faults
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
		return fault{node: e.at(int(te.Offset) - 1), message: msg}
	}
	// A type that decodes itself (a quantity, a time) names no place: leave out
	// one part after another and see with which one the fault goes away.
	return fault{node: culprit(n, err.Error(), fresh), message: strings.TrimPrefix(err.Error(), "json: ")}
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
