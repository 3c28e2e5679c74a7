package app

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Documents parses YAML or JSON and gives one node per document, in order: what
// Object.Doc and edit's Set.Doc count. It never splits text on "---", which may
// stand inside a block scalar. The error is a Problem without a file; the
// documents in front of the fault come with it.
func Documents(content []byte) ([]*yaml.Node, error) {
	docs, err := parse(content)
	if err == nil {
		return docs, nil
	}
	line, msg := parserSays(err)
	if found := faultLine(content, msg); found > 0 {
		line = found
	}
	return docs, Problem{Pos: Pos{Line: line}, Message: "not YAML: " + msg}
}

func parse(content []byte) (docs []*yaml.Node, err error) {
	defer func() { // the parser panics on some broken input instead of returning an error
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
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
			return docs, err
		}
		docs = append(docs, n)
	}
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// parserSays takes the parser's message and its line, 0 for none, apart.
func parserSays(err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	return line, message
}

// faultLine finds the line at which the parser gives up. It does not say: its
// own number is often that of the mapping around the fault. It reads from top to
// bottom, so the first so many lines alone give the same message if and only if
// the fault is among them.
func faultLine(content []byte, msg string) int {
	if len(content) > 1<<20 || bytes.Contains(content, []byte("{{")) {
		return 0 // too slow; a template, whose line nobody asks for
	}
	lines := bytes.SplitAfter(content, []byte("\n"))
	ends := make([]int, len(lines))
	at := 0
	for i, l := range lines {
		at += len(l)
		ends[i] = at
	}
	k, _ := slices.BinarySearchFunc(ends, true, func(end int, _ bool) int {
		if _, err := parse(content[:end]); err != nil {
			if _, m := parserSays(err); m == msg {
				return 1
			}
		}
		return -1
	})
	return min(k, len(lines)-1) + 1
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
