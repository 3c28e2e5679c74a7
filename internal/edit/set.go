package edit

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v3"
)

// A splice replaces the bytes from start to end.
type splice struct {
	start, end int
	text       string
}

// apply gives b with the splices, false where one overlaps another.
func apply(b []byte, splices []splice) ([]byte, bool) {
	slices.SortStableFunc(splices, func(x, y splice) int { return x.start - y.start })
	out := make([]byte, 0, len(b)+len(b)/8)
	at := 0
	for _, s := range splices {
		if s.start < at || s.end < s.start {
			return nil, false
		}
		out = append(append(out, b[at:s.start]...), s.text...)
		at = s.end
	}
	return append(out, b[at:]...), true
}

// A planner works one Set out: where bytes change, and how the document's tree
// looks afterwards. It changes the tree as it goes.
type planner struct {
	t       *text
	doc     *yaml.Node // the document
	set     *Set
	shared  bool         // the anchored value on the way may be changed
	way     []*yaml.Node // from the top to where the path has led so far
	splices []splice
	*facts
}

// refusal is why a Set cannot be done, and the node at which that shows.
type refusal struct {
	node *yaml.Node
	msg  string
	hint string
}

func (r *refusal) Error() string { return r.msg }

func refuse(n *yaml.Node, hint, format string, args ...any) error {
	return &refusal{n, fmt.Sprintf(format, args...), hint}
}

// plan goes down the path as far as it stands and changes what is there.
func (p *planner) plan() error {
	if len(p.set.Path) == 0 {
		return refuse(p.doc, "", "an edit needs a path")
	}
	if msg := valid(p.set.Value); p.set.Value != nil && msg != "" {
		return refuse(p.doc, "", "%s: %s", p.set.Path, msg)
	}
	cur := p.doc.Content[0]
	var key *yaml.Node // in front of cur; nil at the top and for items
	for i, elem := range p.set.Path {
		p.way = append(p.way, cur)
		if err := p.mayEnter(cur); err != nil {
			return err
		}
		at, err := p.find(cur, elem, i == len(p.set.Path)-1)
		if err != nil {
			return err
		}
		if at < 0 {
			if p.set.Value == nil {
				return nil
			}
			return p.insert(key, cur, elem, nest(p.set.Path[i+1:], p.set.Value))
		}
		if i == len(p.set.Path)-1 {
			if p.set.Value == nil {
				return p.remove(key, cur, at)
			}
			return p.replace(cur, at)
		}
		key = nil
		if cur.Kind == yaml.MappingNode {
			key = cur.Content[at]
			at++
		}
		cur = cur.Content[at]
	}
	return nil
}

// nest puts a value below the part of the path that does not stand yet.
func nest(path []any, v any) any {
	for _, e := range slices.Backward(path) {
		if k, ok := e.(string); ok {
			v = Map{{k, v}}
		} else {
			v = []any{v}
		}
	}
	return v
}

// mayEnter refuses what is shared: a change there would be a change elsewhere.
func (p *planner) mayEnter(n *yaml.Node) error {
	if n.Kind == yaml.AliasNode {
		return refuse(n, "write the values out instead of *"+n.Value, "%s stands behind the alias *%s", p.set.Path, n.Value)
	}
	if n.Anchor != "" && p.aliases[n.Anchor] && !p.shared {
		return refuse(n, "write the values out where *"+n.Anchor+" is used", "%s is shared through the anchor &%s", p.set.Path, n.Anchor)
	}
	return nil
}

// find gives the index in n.Content of a key or item, -1 where it is missing and
// can be made.
func (p *planner) find(n *yaml.Node, elem any, last bool) (int, error) {
	null := n.Kind == yaml.ScalarNode && n.Tag == "!!null"
	switch e := elem.(type) {
	case int:
		if null && e == 0 {
			return -1, nil
		}
		if n.Kind != yaml.SequenceNode || e < 0 || e > len(n.Content) {
			return 0, refuse(n, "", "%s: there is no item %d", p.set.Path, e)
		}
		if e == len(n.Content) {
			return -1, nil
		}
		return e, nil
	case string:
		if null {
			return -1, nil
		}
		if n.Kind != yaml.MappingNode {
			return 0, refuse(n, "", "%s: %q cannot stand here, where no mapping is", p.set.Path, e)
		}
		return p.findKey(n, e, last)
	}
	return 0, refuse(n, "", "%s: a path has strings and ints, not %T", p.set.Path, elem)
}

func (p *planner) findKey(n *yaml.Node, name string, last bool) (int, error) {
	at := -1
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			return 0, refuse(k, "", "a key that is not a word stands beside %q", name)
		}
		if seen[k.Value] {
			return 0, refuse(k, "take one of the two out", "key %q stands twice", k.Value)
		}
		seen[k.Value] = true
		if k.Value == name && k.Tag != "!!merge" {
			at = i
		}
		if i > 0 && n.Style&yaml.FlowStyle == 0 && k.Column != n.Content[0].Column {
			return 0, refuse(k, "", "the keys of this mapping do not stand below each other")
		}
	}
	if at < 0 {
		return -1, p.mergedHas(n, name, last)
	}
	return at, nil
}

// mergedHas refuses what would need a change of a mapping that is merged in: to
// take a key of it out, or to put something below one. A whole value may be
// given again here, where it wins over the merged one.
func (p *planner) mergedHas(n *yaml.Node, name string, last bool) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Tag == "!!merge" && (!last || p.set.Value == nil) && mergeHas(v, name, 0) {
			return refuse(k, "write the values out instead of <<", "%q comes from what is merged in here", name)
		}
	}
	return nil
}

// mergeHas says whether the value of a merge key brings a key along.
func mergeHas(v *yaml.Node, name string, depth int) bool {
	for v.Kind == yaml.AliasNode {
		v = v.Alias
	}
	if depth > 32 {
		return true // a circle, or close to one
	}
	if v.Kind == yaml.SequenceNode {
		return slices.ContainsFunc(v.Content, func(m *yaml.Node) bool { return mergeHas(m, name, depth+1) })
	}
	for i := 0; v.Kind == yaml.MappingNode && i+1 < len(v.Content); i += 2 {
		if k := v.Content[i]; k.Value == name || k.Tag == "!!merge" && mergeHas(v.Content[i+1], name, depth+1) {
			return true
		}
	}
	return false
}

// styleOf looks at how a document indents: by the first mapping below a key and
// the first list below a key.
func styleOf(top *yaml.Node) style {
	s := style{step: -1, dash: -1}
	var look func(n *yaml.Node)
	look = func(n *yaml.Node) {
		for i, c := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 1 && n.Style&yaml.FlowStyle == 0 && c.Style&yaml.FlowStyle == 0 && len(c.Content) > 0 {
				by := c.Column - n.Content[i-1].Column
				if c.Kind == yaml.MappingNode && s.step < 0 {
					s.step = c.Content[0].Column - n.Content[i-1].Column
				}
				if c.Kind == yaml.SequenceNode && s.dash < 0 && c.Anchor == "" && c.Style&yaml.TaggedStyle == 0 {
					s.dash = by
				}
			}
			if s.step < 0 || s.dash < 0 {
				look(c)
			}
		}
	}
	look(top)
	if s.step < 1 || s.step > 16 {
		s.step = 2
	}
	if s.dash < 0 || s.dash > 16 {
		s.dash = 0
	}
	return s
}

func (p *planner) splice(start, end int, text string) {
	p.splices = append(p.splices, splice{start, end, text})
}
