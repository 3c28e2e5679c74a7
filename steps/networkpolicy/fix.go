package networkpolicy

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"

	corev1 "k8s.io/api/core/v1"
)

// fix writes a file of policies next to the manifests of the workloads that lack
// some, and the label that a pod without any needs to be selected.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	files := map[string][]*policy{}
	fixed := map[string][]string{} // workloads by namespace
	var dirs []string
	taken := takenNames(a)
	for _, w := range a.Workloads {
		c, err := controllerOf(a, w)
		if err != nil {
			return nil, err
		}
		if in, out := isolated(a, w); in && out || w.Pod.HostNetwork || !known(a, w) {
			continue
		}
		dir := path.Dir(w.File)
		if files[dir] == nil {
			dirs = append(dirs, dir)
		}
		p := policyFor(a, w, c)
		p.of = w
		p.name = freeName(taken, w.Home(), p.name, p.name+"-"+strings.ToLower(w.Kind))
		files[dir] = append(files[dir], p)
		fixed[w.Home()] = append(fixed[w.Home()], w.ID())
		if len(w.Meta.Labels) == 0 {
			edits = append(edits, label(w))
		}
	}
	denied := map[string]bool{}
	for _, dir := range dirs {
		list := append(wholeNamespaces(a, taken, denied, files[dir]), files[dir]...)
		edits = append(edits, write(a, freeFile(a, dir), list, fixed)...)
	}
	return edits, nil
}

// write makes a file of policies, and names it where it would not count otherwise.
// Each policy is an edit for those whom it holds, so that whoever is excepted stays
// as he is. One of a whole namespace is for all there that get their own, which
// fixed names.
func write(a *app.App, file string, list []*policy, fixed map[string][]string) []edit.Edit {
	head := edit.Edit{File: file, Part: true, Create: []byte(heading)}
	var parts []edit.Edit
	for i, p := range list {
		part := edit.Edit{File: file, Part: true, Create: p.text(i)}
		if p.of != nil {
			part.For, part.Bond = p.holds(a), edit.Together
			head.For = append(head.For, p.of.ID())
		} else {
			part.For = fixed[p.namespace]
			head.For = append(head.For, part.For...)
			part.Without = func(staying []string) []byte { return p.sparing(a, staying, i) }
		}
		parts = append(parts, part)
	}
	edits := append([]edit.Edit{head}, parts...)
	if e := kustomize(a, file); e != nil {
		e.For = head.For
		edits = append(edits, *e)
	}
	return edits
}

// text gives a policy as the document of a file with that number.
func (p *policy) text(i int) []byte {
	var b strings.Builder
	if i > 0 {
		b.WriteString("---\n")
	}
	p.render(&b)
	return []byte(b.String())
}

// sparing gives the text of a policy of a whole namespace that leaves the pods of
// some workloads alone, where labels tell these from the others. Where none does,
// there is no such policy, and the first of them says why.
func (p *policy) sparing(a *app.App, staying []string, i int) []byte {
	others, why := apart(a, p.namespace, staying)
	switch {
	case why == "" && p.others != nil:
		return p.text(i) // it leaves all of the application's alone
	case why == "":
		narrow := *p
		narrow.others = others
		narrow.comment += " But for " + strings.Join(staying, ", ") + ", which no policy is to hold."
		return narrow.text(i)
	case p.others != nil:
		return nil
	}
	var b strings.Builder
	comment(&b, "", "Nothing denies what else runs in the namespace "+p.namespace+": "+why)
	return []byte(b.String())
}

// apart gives labels that pods of the workloads which stay as they are have, each
// of them one, and pods of no other workload of their namespace. why says for which
// of them there is none.
func apart(a *app.App, namespace string, staying []string) (labels map[string][]string, why string) {
	labels = map[string][]string{}
	for _, w := range a.Workloads {
		if w.Home() != namespace || !slices.Contains(staying, w.ID()) {
			continue
		}
		like := ""
		key := ""
		for _, k := range append(sortedKeys(labelsOf(w)), sortedKeys(w.Meta.Labels)...) {
			if like = bearer(a, w, k, staying); like == "" {
				key = k
				break
			}
		}
		switch {
		case len(w.Meta.Labels) == 0:
			return nil, w.ID() + " is to stay as it is, and its pods have no label to be told by."
		case key == "":
			return nil, fmt.Sprintf("%s is to stay as it is, and no single label tells its pods from those of %s.", w.ID(), like)
		case !slices.Contains(labels[key], w.Meta.Labels[key]):
			labels[key] = append(labels[key], w.Meta.Labels[key])
		}
	}
	return labels, ""
}

// bearer names a workload of w's namespace, none of those that stay as they are,
// whose pods have the same label; "" for none.
func bearer(a *app.App, w *app.Workload, key string, staying []string) string {
	for _, u := range a.Workloads {
		if u == w || u.Home() != w.Home() || u.Pod.HostNetwork || slices.Contains(staying, u.ID()) {
			continue
		}
		value, there := u.Meta.Labels[key]
		if len(u.Meta.Labels) == 0 {
			value, there = labelsOf(u)[key]
		}
		if there && value == w.Meta.Labels[key] {
			return u.ID()
		}
	}
	return ""
}

// holds names the workloads whose pods a policy selects, first the one that it is for.
func (p *policy) holds(a *app.App) []string {
	var ids []string
	home := p.namespace
	if p.of != nil {
		ids, home = append(ids, p.of.ID()), p.of.Home()
	}
	for _, w := range a.Workloads {
		if w != p.of && w.Home() == home && !w.Pod.HostNetwork && (len(p.selector) == 0 || app.Selects(p.selector, w.Meta.Labels)) {
			ids = append(ids, w.ID())
		}
	}
	return ids
}

// label gives a pod without labels one, so that a policy can select it.
func label(w *app.Workload) edit.Edit {
	at := w.PodPath[:len(w.PodPath)-1].Join("metadata", "labels", ownLabel)
	return edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: at, Value: w.Name, Before: "spec",
		Comment: "For the network policy to select it by"}}
}

// wholeNamespaces denies everything else in the namespaces that are the
// application's own, because it declares them: once in each, which done keeps.
func wholeNamespaces(a *app.App, taken, done map[string]bool, list []*policy) []*policy {
	var out []*policy
	for _, p := range list {
		for _, o := range a.Objects {
			if _, ok := o.Typed.(*corev1.Namespace); !ok || o.Name != p.namespace || done[p.namespace] {
				continue
			}
			done[p.namespace] = true
			out = append(out, &policy{name: freeName(taken, p.namespace, "default-deny", "default-deny-all"), namespace: p.namespace,
				comment: "The namespace is the application's own: whatever else runs in it reaches nobody, and nobody reaches it.",
				ingress: true, egress: true})
			if users := usersOf(a, p.namespace); users != nil {
				users.name = freeName(taken, p.namespace, "front-door-users")
				out = append(out, users)
			}
		}
	}
	return out
}

// usersOf gives the policy that lets pods of a namespace, but not those of the
// application, out to its front doors that are open to them; nil where none is.
func usersOf(a *app.App, namespace string) *policy {
	p := &policy{namespace: namespace, egress: true, others: map[string][]string{}}
	for _, w := range a.Workloads {
		if w.Home() != namespace {
			continue
		}
		labels := labelsOf(w)
		key := sortedKeys(labels)[0]
		if !slices.Contains(p.others[key], labels[key]) {
			p.others[key] = append(p.others[key], labels[key])
		}
		if ports := openInside(a, w); len(ports) > 0 {
			p.out = append(p.out, rule{"Users of the front door, which are no part of the application, reach it.", []peer{{pods: labels}}, ports})
		}
	}
	if len(p.out) == 0 {
		return nil
	}
	p.out = append(p.out, names(a))
	return p
}

// takenNames gives the names of the policies that are there, with namespaces.
func takenNames(a *app.App) map[string]bool {
	taken := map[string]bool{}
	for _, o := range a.Objects {
		if o.Kind == "NetworkPolicy" {
			taken[o.Home()+"/"+o.Name] = true
		}
	}
	return taken
}

// freeName takes the first of names that no policy has, else one with a number.
func freeName(taken map[string]bool, namespace string, names ...string) string {
	for i := 2; ; i++ {
		for _, n := range names {
			if key := namespace + "/" + n; !taken[key] {
				taken[key] = true
				return n
			}
		}
		names = []string{fmt.Sprintf("%s-%d", names[0], i)}
	}
}

// freeFile names a file of a folder that is not there yet.
func freeFile(a *app.App, dir string) string {
	for i := 1; ; i++ {
		file := path.Join(dir, "networkpolicy.yaml")
		if i > 1 {
			file = path.Join(dir, fmt.Sprintf("networkpolicy-%d.yaml", i))
		}
		if a.Free(file) {
			return file
		}
	}
}

// kustomize adds a new file to the resources of the kustomization beside it,
// which would pass it by otherwise.
func kustomize(a *app.App, file string) *edit.Edit {
	files := a.Files()
	for _, base := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		name := path.Join(path.Dir(file), base)
		content, ok := files[name]
		if !ok {
			continue
		}
		docs, err := app.Documents(content)
		if err != nil || len(docs) == 0 || len(docs[0].Content) == 0 {
			return nil
		}
		top := docs[0].Content[0]
		for i := 0; i+1 < len(top.Content); i += 2 {
			if top.Content[i].Value == "resources" {
				return &edit.Edit{File: name, Set: &edit.Set{Path: app.Path{"resources", len(top.Content[i+1].Content)}, Value: path.Base(file)}}
			}
		}
		return &edit.Edit{File: name, Set: &edit.Set{Path: app.Path{"resources"}, Value: []any{path.Base(file)}}}
	}
	return nil
}

// heading stands above the policies of a file.
const heading = "# Who may reach each pod, and whom it may reach: what a run of the application\n" +
	"# showed, and nothing else. A policy is inert where the cluster's network plugin\n" +
	"# does not enforce it.\n"
