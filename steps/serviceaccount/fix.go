package serviceaccount

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// fix writes the fields, and a file with a service account for each pod that has
// none of its own.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	made := map[string]int{} // where the accounts of this fix are among edits, by namespace and name
	for _, w := range a.Workloads {
		set := func(key string, value any) {
			s := &edit.Set{Doc: w.Doc, Path: w.PodPath.Join(key), Value: value}
			if !w.Has(s.Path) {
				s.Before = firstOf(w)
			}
			edits = append(edits, edit.Edit{File: w.File, Set: s})
		}
		n := needsOf(a, w)
		if len(n.volumes) > 0 {
			continue // fixed as a whole or not at all
		}
		if n.account {
			name := freeName(a, w)
			key := w.Namespace + "/" + name
			i, there := made[key]
			if !there {
				i, made[key] = len(edits), len(edits)
				edits = append(edits, edit.Edit{File: newFile(a, w, edits), Create: manifest(name, w.Namespace, pullSecrets(a, w))})
			}
			edits[i].For = append(edits[i].For, w.ID())
			set("serviceAccountName", name)
			if w.Pod.DeprecatedServiceAccount != "" {
				set("serviceAccount", nil)
			}
		}
		if n.token {
			set("automountServiceAccountToken", false)
		}
		if n.links {
			set("enableServiceLinks", false)
		}
	}
	return edits, nil
}

// freeName gives a name for w's account: its own, or, where there is an account of
// that name, another, since that one may have been given rights.
func freeName(a *app.App, w *app.Workload) string {
	name := w.Name
	for i := 2; find(a, name, w.Home()) != nil; i++ {
		name = fmt.Sprintf("%s-%d", w.Name, i)
	}
	return name
}

// firstOf names the key of the pod's spec in front of which new ones go: its
// security context or its first list of containers, whichever stands first.
func firstOf(w *app.Workload) string {
	first, line := "", 0
	for _, key := range []string{"securityContext", string(app.Init), string(app.Normal)} {
		p := w.PodPath.Join(key)
		if l := w.Pos(p).Line; w.Has(p) && (first == "" || l < line) {
			first, line = key, l
		}
	}
	return first
}

// newFile names the file for a service account: beside the workload's, and not
// there yet.
func newFile(a *app.App, w *app.Workload, edits []edit.Edit) string {
	taken := func(name string) bool {
		return !a.Free(name) || slices.ContainsFunc(edits, func(e edit.Edit) bool { return e.File == name })
	}
	base := path.Join(path.Dir(w.File), w.Name+"-service-account")
	name := base + ".yaml"
	for i := 2; taken(name); i++ {
		name = fmt.Sprintf("%s-%d.yaml", base, i)
	}
	return name
}

// pullSecrets names the secrets with which the nodes pull w's images because of the
// account that it has had.
func pullSecrets(a *app.App, w *app.Workload) []string {
	own := account(a, w)
	if own == nil {
		return nil
	}
	var names []string
	for _, s := range own.ImagePullSecrets {
		if s.Name != "" {
			names = append(names, s.Name)
		}
	}
	return names
}

// manifest is the text of a service account. The name is a workload's, which the
// API restricts to letters, digits, dots and dashes; quotes keep a number a name.
func manifest(name, namespace string, pull []string) []byte {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: ServiceAccount\nmetadata:\n")
	fmt.Fprintf(&b, "  name: %s\n", quoted(name))
	if namespace != "" {
		fmt.Fprintf(&b, "  namespace: %s\n", quoted(namespace))
	}
	b.WriteString("# Nobody in the container talks to the cluster's API\nautomountServiceAccountToken: false\n")
	if len(pull) > 0 {
		b.WriteString("imagePullSecrets:\n")
	}
	for _, s := range pull {
		fmt.Fprintf(&b, "- name: %s\n", quoted(s))
	}
	return []byte(b.String())
}

// quoted gives a name as a YAML string: plain where it can be nothing else.
func quoted(name string) string {
	letter := func(r rune) bool { return r >= 'a' && r <= 'z' }
	plain := strings.IndexFunc(name, letter) == 0 && strings.IndexFunc(name, func(r rune) bool {
		return !letter(r) && r != '-' && (r < '0' || r > '9')
	}) < 0
	if plain && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}, name) {
		return name
	}
	return fmt.Sprintf("%q", name)
}

// kustomized says whether kustomize decides which files of w's folder count: a
// file that it does not list would never reach the cluster, and a pod without
// its account never starts.
func kustomized(a *app.App, w *app.Workload) bool {
	if a.Rendered != nil {
		return false // a new file is listed there
	}
	for name := range a.Files() {
		switch path.Base(name) {
		case "kustomization.yaml", "kustomization.yml", "Kustomization":
			if path.Dir(name) == path.Dir(w.File) {
				return true
			}
		}
	}
	return false
}
