package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Documents parses YAML or JSON and gives one node per document, in order: what
// Object.Doc and edit's Set.Doc count. It never splits text on "---", which may
// stand inside a block scalar. The error is a Problem without a file; the
// documents in front of the fault come with it.
func Documents(content []byte) (docs []*yaml.Node, err error) {
	defer func() { // the parser panics on some broken input instead of returning an error
		if r := recover(); r != nil {
			err = Problem{Message: fmt.Sprintf("not YAML: %v", r)}
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(content))
	for {
		n := new(yaml.Node)
		err := dec.Decode(n)
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return docs, parseProblem(err)
		}
		docs = append(docs, n)
	}
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// parseProblem takes the line out of the parser's message. Faults of its grammar
// carry a line that counts from 0, those of its scanner one that counts from 1.
func parseProblem(err error) Problem {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	var p Problem
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
		if strings.HasPrefix(msg, "did not find expected") && !strings.Contains(msg, "comment or line break") {
			p.Line++
		}
	}
	p.Message = "not YAML: " + msg
	return p
}

// resolve follows an alias to the node that it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// top gives the value of a document, nil for an empty one.
func top(doc *yaml.Node) *yaml.Node {
	if doc == nil || len(doc.Content) == 0 {
		return nil
	}
	return resolve(doc.Content[0])
}

// isMerge says that a key is YAML's merge key, "<<".
func isMerge(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.Tag == "!!merge" }

// field finds the value of a key in a mapping, nil if it does not stand there.
func field(n *yaml.Node, key string) *yaml.Node {
	_, v := lookup(n, key, 0)
	return v
}

// maxMerge bounds how deep merge keys may be nested; they may also form a circle.
const maxMerge = 32

// lookup finds a key of a mapping and its value, merged ones included. Of a key
// that stands twice, the last one counts, as for Kubernetes.
func lookup(n *yaml.Node, key string, depth int) (k, v *yaml.Node) {
	n = resolve(n)
	if n == nil || n.Kind != yaml.MappingNode || depth > maxMerge {
		return nil, nil
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		k := resolve(n.Content[i])
		if k.Kind == yaml.ScalarNode && k.Value == key && !isMerge(k) {
			return n.Content[i], n.Content[i+1]
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		for _, m := range merged(n.Content[i+1]) {
			if k, v := lookup(m, key, depth+1); k != nil {
				return k, v
			}
		}
	}
	return nil, nil
}

// merged gives the mappings that the value of a merge key names, first wins.
func merged(v *yaml.Node) []*yaml.Node {
	v = resolve(v)
	switch v.Kind {
	case yaml.MappingNode:
		return []*yaml.Node{v}
	case yaml.SequenceNode:
		return v.Content
	}
	return nil
}

// text gives the value of a scalar, "" for anything else.
func text(n *yaml.Node) string {
	n = resolve(n)
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}
