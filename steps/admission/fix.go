package admission

import (
	"fmt"
	"path"
	"strings"

	"road/internal/app"
	"road/internal/edit"

	"k8s.io/pod-security-admission/api"
)

// fix labels the namespaces and writes their policies.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	taken := map[string]bool{}
	for _, p := range places(a) {
		if p.foreign() != "" {
			continue
		}
		before := len(edits)
		level, why := p.level()
		if len(p.missing(level)) > 0 {
			edits = append(edits, p.label(a, taken, level, why)...)
		}
		if unruled := p.unruled(a); len(unruled) > 0 {
			made := create(a, taken, p, "admission-policy", p.policy(a, unruled))
			made[0].Note = fmt.Sprintf("the policy of namespace %s refuses new pods of others there too where they lack what it asks for (to see first which, write [Warn, Audit] instead of [Deny] in %s)", p.name, made[0].File)
			edits = append(edits, made...)
		}
		for i := before; i < len(edits); i++ { // a namespace admits all of its pods or refuses some
			for _, w := range p.workloads {
				edits[i].For = append(edits[i].For, w.ID())
			}
			edits[i].Bond = edit.Together
		}
	}
	return listed(together(edits)), nil
}

// listed holds together all whose new files one kustomization lists: an item has its
// number there only behind those before it.
func listed(edits []edit.Edit) []edit.Edit {
	all := map[string][]string{}
	for _, e := range edits {
		if e.Set != nil && e.Set.Path[0] == "resources" {
			all[e.File] = append(all[e.File], e.For...)
		}
	}
	for i, e := range edits {
		if e.Set != nil && e.Set.Path[0] == "resources" {
			edits[i].For = all[e.File]
		}
	}
	return edits
}

// together makes one edit of those that begin the same list: each knows its own
// items only.
func together(edits []edit.Edit) []edit.Edit {
	var out []edit.Edit
	first := map[string]int{}
	for _, e := range edits {
		items, isList := []any(nil), false
		if e.Set != nil {
			items, isList = e.Set.Value.([]any)
		}
		if !isList {
			out = append(out, e)
			continue
		}
		key := e.File + "\n" + e.Set.Path.String()
		if i, there := first[key]; there {
			s := out[i].Set
			s.Value = append(s.Value.([]any), items...)
			out[i].For = append(out[i].For, e.For...)
			continue
		}
		first[key] = len(out)
		out = append(out, e)
	}
	return out
}

// label sets what is missing on the namespace's object, or writes one.
func (p *place) label(a *app.App, taken map[string]bool, level api.Level, why string) []edit.Edit {
	if p.object == nil {
		edits := create(a, taken, p, "namespace", p.manifest(a, level, why))
		edits[0].Note = p.reach(level)
		return edits
	}
	var edits []edit.Edit
	for _, l := range p.wanted(level) {
		if fine(p.labels[l[0]], l[1]) {
			continue
		}
		s := &edit.Set{Doc: p.object.Doc, Path: p.object.Within.Join("metadata", "labels", l[0]), Value: l[1]}
		if l[0] == api.EnforceLevelLabel {
			s.Comment = p.comment(level, why)
		}
		edits = append(edits, edit.Edit{File: p.object.File, Set: s})
	}
	edits[0].Note = p.reach(level) // there is one: a label is missing
	return edits
}

// reach says whom the labels hold beside the application.
func (p *place) reach(level api.Level) string {
	return fmt.Sprintf("the labels of namespace %s hold for all pods there: those of others run on, and are refused when they are made anew where they do not pass %s "+
		"(which: kubectl label --dry-run=server --overwrite namespace %[1]s %[3]s=%[2]s)", p.name, level, api.EnforceLevelLabel)
}

// comment says in one line why a level is enforced that is not the strictest, and
// why there is no policy beside the labels where the target has none.
func (p *place) comment(level api.Level, why string) string {
	var parts []string
	if level != api.LevelRestricted {
		parts = append(parts, "Not restricted yet: "+oneLine(why))
	}
	if p.target.Older(policies) {
		parts = append(parts, fmt.Sprintf("No ValidatingAdmissionPolicy beside this: Kubernetes %s has none (1.%d has)", p.target.Kubernetes(), policies))
	}
	return strings.Join(parts, "; ")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// manifest is the text of a Namespace.
func (p *place) manifest(a *app.App, level api.Level, why string) string {
	var b strings.Builder
	if !p.named() && !charted(a) {
		fmt.Fprintf(&b, "# The manifests beside this file name no namespace: they land here with\n# kubectl apply -n %s, as road.yaml says.\n", p.name)
	}
	fmt.Fprintf(&b, "# The labels hold for every pod in the namespace %s, whoever made it. Pods of\n"+
		"# others run on, and are refused when they are made anew where they do not pass.\n", p.name)
	fmt.Fprintf(&b, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: %s\n  labels:\n", quoted(p.name))
	if c := p.comment(level, why); c != "" {
		fmt.Fprintf(&b, "    # %s\n", c)
	}
	for _, l := range p.wanted(level) {
		fmt.Fprintf(&b, "    %s: %s\n", l[0], l[1])
	}
	return b.String()
}

// charted says whether Helm installs the application.
func charted(a *app.App) bool { return a.Rendered != nil && a.Rendered.Source.Chart }

// named says whether the manifests of the pods name the namespace themselves.
func (p *place) named() bool {
	for _, w := range p.workloads {
		if w.Namespace == "" {
			return false
		}
	}
	return true
}

// policy is the text of a policy with rules, bound to the namespace.
func (p *place) policy(a *app.App, list []rule) string {
	name := freeName(a, "hardened-pods-"+p.name)
	var b strings.Builder
	fmt.Fprintf(&b, "# What every pod of the application has and Pod Security does not ask for: no pod\n"+
		"# comes into the namespace %s without it, nor gets another image. That holds for\n"+
		"# the pods of others there too. To see first what it would refuse, write\n"+
		"# [Warn, Audit] instead of [Deny].\n", p.name)
	fmt.Fprintf(&b, "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata:\n  name: %s\n", name)
	b.WriteString("spec:\n  failurePolicy: Fail\n  matchConstraints:\n    resourceRules:\n" +
		"    - apiGroups: [\"\"]\n      apiVersions: [v1]\n      operations: [CREATE, UPDATE]\n      resources: [pods]\n")
	fmt.Fprintf(&b, "  matchConditions: # what was there before may still be labelled, bound and ended\n  - name: new-spec\n    expression: %q\n", newSpec)
	fmt.Fprintf(&b, "  variables:\n  - name: containers\n    expression: %q\n  validations:\n", containers)
	for _, r := range list {
		fmt.Fprintf(&b, "  - expression: >-\n      %s\n    message: %q\n", r.expression, r.message)
	}
	fmt.Fprintf(&b, "---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata:\n  name: %s\n", name)
	fmt.Fprintf(&b, "spec:\n  policyName: %s\n  validationActions: [Deny]\n  matchResources:\n    namespaceSelector:\n      matchLabels:\n        kubernetes.io/metadata.name: %s\n", name, quoted(p.name))
	return b.String()
}

// freeName gives a name that no policy or binding has.
func freeName(a *app.App, name string) string {
	free := func(n string) bool {
		for _, o := range a.Objects {
			if strings.HasPrefix(o.Kind, "ValidatingAdmissionPolicy") && o.Name == n {
				return false
			}
		}
		return true
	}
	n := name
	for i := 2; !free(n); i++ {
		n = fmt.Sprintf("%s-%d", name, i)
	}
	return n
}

// quoted gives a name as a YAML string: plain where it can be nothing else.
func quoted(name string) string {
	if name[0] >= 'a' && name[0] <= 'z' && !strings.Contains(" true false null yes no on off y n ", " "+name+" ") {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// create writes a new file beside the first workload of the namespace, and names
// it in the kustomization that decides there which files count.
func create(a *app.App, taken map[string]bool, p *place, base, text string) []edit.Edit {
	dir := path.Dir(p.workloads[0].File)
	file := path.Join(dir, base+".yaml")
	there := func(f string) bool { return !a.Free(f) || taken[f] }
	for i := 2; there(file); i++ {
		file = path.Join(dir, fmt.Sprintf("%s-%d.yaml", base, i))
	}
	taken[file] = true
	edits := []edit.Edit{{File: file, Create: []byte(text)}}
	if charted(a) {
		return edits // Helm cannot own every object
	}
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		name = path.Join(dir, name)
		content, ok := a.Files()[name]
		if !ok {
			continue
		}
		docs, err := app.Documents(content)
		if err != nil || len(docs) == 0 || len(docs[0].Content) == 0 {
			continue
		}
		top := docs[0].Content[0]
		s := &edit.Set{Path: app.Path{"resources"}, Value: []any{path.Base(file)}}
		for i := 0; i+1 < len(top.Content); i += 2 {
			if top.Content[i].Value == "resources" {
				n := len(top.Content[i+1].Content)
				for t := range taken { // those of this fix that stand there by then
					if t != file && path.Dir(t) == dir {
						n++
					}
				}
				s = &edit.Set{Path: app.Path{"resources", n}, Value: path.Base(file)}
			}
		}
		edits = append(edits, edit.Edit{File: name, Set: s})
	}
	return edits
}
