package networkpolicy

import (
	"fmt"
	"maps"
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
		p.name = freeName(taken, w.Home(), p.name, p.name+"-"+strings.ToLower(w.Kind))
		files[dir] = append(files[dir], p)
		if len(w.Meta.Labels) == 0 {
			edits = append(edits, label(w))
		}
	}
	for _, dir := range dirs {
		list := append(wholeNamespaces(a, taken, files[dir]), files[dir]...)
		file := freeFile(a, dir)
		edits = append(edits, edit.Edit{File: file, Create: []byte(render(list))})
		if e := kustomize(a, file); e != nil {
			edits = append(edits, *e)
		}
	}
	return edits, nil
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

// render writes policies as a manifest.
func render(list []*policy) string {
	var b strings.Builder
	b.WriteString("# Who may reach each pod, and whom it may reach: what a run of the application\n" +
		"# showed, and nothing else. A policy is inert where the cluster's network plugin\n" +
		"# does not enforce it.\n")
	for i, p := range list {
		if i > 0 {
			b.WriteString("---\n")
		}
		p.render(&b)
	}
	return b.String()
}

func (p *policy) render(b *strings.Builder) {
	comment(b, "", p.comment)
	fmt.Fprintf(b, "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: %s\n", scalar(p.name))
	if p.namespace != "" {
		fmt.Fprintf(b, "  namespace: %s\n", scalar(p.namespace))
	}
	b.WriteString("spec:\n")
	if p.others != nil {
		b.WriteString("  podSelector:\n    matchExpressions:\n")
		for _, k := range slices.Sorted(maps.Keys(p.others)) {
			fmt.Fprintf(b, "    - key: %s\n      operator: NotIn\n      values:\n", scalar(k))
			for _, v := range p.others[k] {
				fmt.Fprintf(b, "      - %s\n", scalar(v))
			}
		}
	} else if len(p.selector) == 0 {
		b.WriteString("  podSelector: {}\n")
	} else {
		b.WriteString("  podSelector:\n")
		matchLabels(b, "    ", p.selector)
	}
	b.WriteString("  policyTypes:\n")
	for _, d := range []struct {
		about bool
		name  string
	}{{p.ingress, "Ingress"}, {p.egress, "Egress"}} {
		if d.about {
			fmt.Fprintf(b, "  - %s\n", d.name)
		}
	}
	if p.comment != "" {
		return
	}
	if p.ingress {
		rules(b, "ingress", "from", p.in, "Nobody was seen to call it.")
	}
	if p.egress {
		rules(b, "egress", "to", p.out, "It was seen to call nobody, and to ask for no name.")
	}
}

// rules writes the rules of one direction, or why there are none.
func rules(b *strings.Builder, direction, peers string, list []rule, none string) {
	if len(list) == 0 {
		comment(b, "  ", none)
		fmt.Fprintf(b, "  %s: []\n", direction)
		return
	}
	fmt.Fprintf(b, "  %s:\n", direction)
	for _, r := range list {
		comment(b, "  ", r.comment)
		lead := "  - "
		if len(r.peers) > 0 {
			fmt.Fprintf(b, "%s%s:\n", lead, peers)
			lead = "    "
		}
		for _, p := range r.peers {
			p.render(b)
		}
		fmt.Fprintf(b, "%sports:\n", lead)
		for _, p := range r.ports {
			fmt.Fprintf(b, "    - protocol: %s\n      port: %d\n", p.protocol, p.number)
		}
	}
}

func (p peer) render(b *strings.Builder) {
	lead := "    - "
	if p.block != "" {
		fmt.Fprintf(b, "%sipBlock:\n        cidr: %s\n", lead, scalar(p.block))
		if len(p.except) > 0 {
			b.WriteString("        except:\n")
		}
		for _, x := range p.except {
			fmt.Fprintf(b, "        - %s\n", scalar(x))
		}
		return
	}
	if p.namespace != "" {
		fmt.Fprintf(b, "%snamespaceSelector:\n", lead)
		matchLabels(b, "        ", map[string]string{"kubernetes.io/metadata.name": p.namespace})
		lead = "      "
	}
	if len(p.pods) == 0 {
		fmt.Fprintf(b, "%spodSelector: {}\n", lead)
		return
	}
	fmt.Fprintf(b, "%spodSelector:\n", lead)
	matchLabels(b, "        ", p.pods)
}

func matchLabels(b *strings.Builder, indent string, labels map[string]string) {
	fmt.Fprintf(b, "%smatchLabels:\n", indent)
	for _, k := range sortedKeys(labels) {
		fmt.Fprintf(b, "%s  %s: %s\n", indent, scalar(k), scalar(labels[k]))
	}
}

// comment writes text in lines of a good length.
func comment(b *strings.Builder, indent, text string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(indent)+len(line)+len(word) > 76 {
			fmt.Fprintf(b, "%s#%s\n", indent, line)
			line = ""
		}
		line += " " + word
	}
	if line != "" {
		fmt.Fprintf(b, "%s#%s\n", indent, line)
	}
}

// words mean something else than themselves in YAML.
var words = []string{"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan"}

// scalar writes a text so that YAML reads the same text.
func scalar(s string) string {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
	plain := s != "" && letter(rune(s[0])) && !slices.Contains(words, strings.ToLower(s))
	for _, r := range s {
		plain = plain && (letter(r) || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r))
	}
	if plain || isBlock(s) {
		return s
	}
	return fmt.Sprintf("%q", s)
}

// isBlock says whether s is digits, dots and one slash: what YAML takes for a
// text all the same.
func isBlock(s string) bool {
	return strings.Count(s, ".") == 3 && strings.Count(s, "/") == 1 && strings.Trim(s, "0123456789./") == ""
}
