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
		if len(w.Meta.Labels) == 0 {
			edits = append(edits, label(w))
		}
	}
	for _, dir := range dirs {
		list := append(wholeNamespaces(a, taken, files[dir]), files[dir]...)
		edits = append(edits, write(a, freeFile(a, dir), list)...)
	}
	return edits, nil
}

// write makes a file of policies, and names it where it would not count otherwise.
// Each policy is an edit for those whom it holds, so that whoever is excepted stays
// as he is.
func write(a *app.App, file string, list []*policy) []edit.Edit {
	head := edit.Edit{File: file, Part: true, Create: []byte(heading)}
	var parts []edit.Edit
	for i, p := range list {
		var b strings.Builder
		if i > 0 {
			b.WriteString("---\n")
		}
		p.render(&b)
		parts = append(parts, edit.Edit{File: file, Part: true, Create: []byte(b.String()), For: p.holds(a), Bond: edit.Spare})
		if p.of != nil {
			parts[i].Bond = edit.Together
			head.For = append(head.For, p.of.ID())
		}
	}
	edits := append([]edit.Edit{head}, parts...)
	if e := kustomize(a, file); e != nil {
		e.For = head.For
		edits = append(edits, *e)
	}
	return edits
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
// application's own, because it declares them.
func wholeNamespaces(a *app.App, taken map[string]bool, list []*policy) []*policy {
	var out []*policy
	done := map[string]bool{}
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
