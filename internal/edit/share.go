package edit

import (
	"fmt"
	"reflect"
	"slices"

	"road/internal/app"

	"go.yaml.in/yaml/v3"
)

// A share is a value with an anchor, and all who take it in.
type share struct {
	at    app.Path // where it stands
	users []user
}

// A user is an alias of a shared value, or a mapping that merges it.
type user struct {
	at    app.Path   // of the alias, or of the mapping
	merge *yaml.Node // the mapping; nil for an alias
}

// share finds the Sets that change a value which several share, and leaves of
// each such group the one at the anchor if all who share the value get the same
// there. The others stay, and are refused where they come to it.
func (e *editing) share(sets []*Set) []*task {
	byDoc := map[int][]*Set{}
	for _, s := range sets {
		byDoc[s.Doc] = append(byDoc[s.Doc], s)
	}
	e.sharing = map[int]bool{}
	inherited, shared := map[*Set]bool{}, map[*Set]bool{}
	for doc, own := range byDoc {
		shares := sharesOf(e.docs[doc].Content[0])
		if len(shares) == 0 {
			continue
		}
		e.sharing[doc] = true
		byPath := map[string]*Set{}
		for _, s := range own {
			byPath[s.Path.String()] = s
		}
		for _, sh := range shares {
			for _, s := range own {
				if rest, ok := below(s.Path, sh.at); ok {
					sh.settle(s, rest, byPath, inherited, shared)
				}
			}
		}
	}
	var out []*task
	for _, s := range sets {
		if !inherited[s] {
			out = append(out, &task{s, shared[s]})
		}
	}
	return out
}

// settle looks whether all who share a value get what s puts into it.
func (sh *share) settle(s *Set, rest app.Path, byPath map[string]*Set, inherited, shared map[*Set]bool) {
	var others []*Set
	for _, u := range sh.users {
		if u.merge != nil {
			if len(rest) == 0 {
				return
			}
			if k, ok := rest[0].(string); ok && value(u.merge, k) != nil {
				continue // its own wins over what is merged
			}
		}
		other := byPath[u.at.Join(rest...).String()]
		if other == nil || !reflect.DeepEqual(other.Value, s.Value) {
			return
		}
		others = append(others, other)
	}
	shared[s] = true
	for _, o := range others {
		inherited[o] = true
	}
}

// agree refuses Sets whose value is not what stands at their place in the end, in
// documents in which one change can show in another place.
func (e *editing) agree(sets []*Set) {
	if e.refused != nil {
		return
	}
	for i, s := range sets {
		if !e.sharing[s.Doc] {
			continue
		}
		later := slices.ContainsFunc(sets[i+1:], func(o *Set) bool {
			_, above := below(s.Path, o.Path)
			_, under := below(o.Path, s.Path)
			return o.Doc == s.Doc && (above || under)
		})
		got := reach(e.docs[s.Doc].Content[0], s.Path, 0)
		if later || got == nil && s.Value == nil || got != nil && s.Value != nil && alike(got, node(s.Value)) {
			continue
		}
		line := e.docs[s.Doc].Content[0].Line
		if got != nil {
			line = got.Line
		}
		e.refuse(line, "write the values out instead of sharing them", "%s cannot be set: what is shared here comes out different", s.Path)
	}
}

// reach gives the value at a path as a reader of the document sees it, through
// aliases and merge keys; nil for none.
func reach(n *yaml.Node, path app.Path, depth int) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if len(path) == 0 || depth > 32 {
		return n
	}
	if c := child(n, path[0]); c != nil {
		return reach(c, path[1:], depth)
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Tag != "!!merge" {
			continue
		}
		for _, m := range mergedIn(n.Content[i+1]) {
			if mergeHas(m, fmt.Sprint(path[0]), 0) { // and hides those that are merged after it
				return reach(m, path, depth+1)
			}
		}
	}
	return nil
}

// alike is same without the anchors, which are names and no meaning.
func alike(a, b *yaml.Node) bool {
	for a.Kind == yaml.AliasNode {
		a = a.Alias
	}
	if a.Kind != b.Kind || a.Value != b.Value || a.ShortTag() != b.ShortTag() || len(a.Content) != len(b.Content) {
		return false
	}
	for i := range a.Content {
		if !alike(a.Content[i], b.Content[i]) {
			return false
		}
	}
	return true
}

// below says whether path leads to at or to something below it, and gives the
// rest of the way.
func below(path, at app.Path) (rest app.Path, ok bool) {
	if len(path) < len(at) {
		return nil, false
	}
	for i, e := range at {
		if path[i] != e {
			return nil, false
		}
	}
	return path[len(at):], true
}

// sharesOf finds the values that several share. Those that stand in one another,
// or are reached through one another, are left out: nothing of theirs is changed.
func sharesOf(top *yaml.Node) []*share {
	byNode := map[*yaml.Node]*share{}
	var order []*yaml.Node
	nested := map[*yaml.Node]bool{}
	var look func(n *yaml.Node, at app.Path, inside *yaml.Node)
	use := func(alias *yaml.Node, u user, inside *yaml.Node) {
		if byNode[alias.Alias] == nil {
			return // a circle
		}
		byNode[alias.Alias].users = append(byNode[alias.Alias].users, u)
		if inside != nil {
			nested[alias.Alias] = true
		}
	}
	look = func(n *yaml.Node, at app.Path, inside *yaml.Node) {
		if n.Kind == yaml.AliasNode {
			use(n, user{at: at}, inside)
			return
		}
		if n.Anchor != "" {
			byNode[n] = &share{at: at}
			order = append(order, n)
			if inside != nil {
				nested[n], nested[inside] = true, true
			}
			inside = n
		}
		for i, c := range n.Content {
			switch {
			case n.Kind == yaml.SequenceNode:
				look(c, at.Join(i), inside)
			case i%2 == 0:
			case n.Content[i-1].Tag == "!!merge":
				for _, m := range mergedIn(c) {
					use(m, user{at: at, merge: n}, inside)
				}
			default:
				look(c, at.Join(n.Content[i-1].Value), inside)
			}
		}
	}
	look(top, nil, nil)
	var out []*share
	for _, n := range order {
		if len(byNode[n].users) > 0 && !nested[n] {
			out = append(out, byNode[n])
		}
	}
	return out
}

// mergedIn gives the aliases that a merge key names.
func mergedIn(v *yaml.Node) []*yaml.Node {
	if v.Kind == yaml.AliasNode {
		return []*yaml.Node{v}
	}
	var out []*yaml.Node
	for _, c := range v.Content {
		if v.Kind == yaml.SequenceNode && c.Kind == yaml.AliasNode {
			out = append(out, c)
		}
	}
	return out
}
