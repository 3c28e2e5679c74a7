// Package capabilities is the step that takes root's single powers away: every
// container drops all capabilities and gets back only what it needs.
//
// Its rules are those of the checks capabilities and privileged of Pod Security
// "restricted". A capability that a run showed to be needed is an exception of
// the road's, which Pod Security does not know.
package capabilities

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// Step drops all capabilities of every container.
var Step = &step.Step{
	Name:    "capabilities",
	Title:   "Drop all capabilities",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "Pod Security", ID: "restricted: capabilities"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.2.8"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.2.9"},
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1611"},
		{Framework: "ATT&CK v18", ID: "T1557"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
	Trial:   &step.Trial{Candidates: candidates, Grant: grant},
}

const (
	all  corev1.Capability = "ALL"
	bind corev1.Capability = "NET_BIND_SERVICE"
)

// check finds the containers that keep capabilities which they may not need.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		if windows(w) {
			continue
		}
		for c := range w.Containers() {
			f = append(f, checkContainer(a, c)...)
		}
	}
	step.Sort(f)
	return f
}

// checkContainer finds what one container's security context lacks or has.
func checkContainer(a *app.App, c *app.Container) []step.Finding {
	var f []step.Finding
	add := func(key, message, hint string) {
		f = append(f, step.Finding{Pos: c.Pos("securityContext", key), Workload: c.Workload.ID(), Container: c.Spec.Name,
			Message: fmt.Sprintf("container %q %s", c.Spec.Name, message), Hint: hint, NeedsRun: !known(a, c)})
	}
	if privileged(c) {
		add("privileged", "is privileged: it has every capability, and the node's devices", "set privileged: false")
	}
	have, keep := capabilities(c), needed(a, c)
	if !slices.Contains(have.Drop, all) {
		hint := "drop ALL"
		if len(keep) > 0 {
			hint += ", and add " + join(keep)
		}
		add("capabilities", "keeps capabilities", hint)
	}
	var more []corev1.Capability
	for _, n := range have.Add {
		if !slices.Contains(keep, n) {
			more = append(more, n)
		}
	}
	if len(more) > 0 {
		add("capabilities", "adds "+join(more), "take it out of capabilities.add")
	}
	return f
}

// fix writes what check asks for.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	for _, w := range a.Workloads {
		if windows(w) {
			continue
		}
		for c := range w.Containers() {
			if known(a, c) {
				edits = append(edits, fixContainer(a, c)...)
			}
		}
	}
	return edits, nil
}

// fixContainer gives the edits of one container.
func fixContainer(a *app.App, c *app.Container) []edit.Edit {
	var edits []edit.Edit
	set := func(value any, path ...any) {
		at := c.Path.Join("securityContext").Join(path...)
		edits = append(edits, edit.Edit{File: c.Workload.File, Set: &edit.Set{Doc: c.Workload.Doc, Path: at, Value: value, Comment: commentFor(a, c, path)}})
	}
	if privileged(c) {
		set(false, "privileged")
	}
	have, keep := capabilities(c), needed(a, c)
	dropped := slices.Contains(have.Drop, all)
	if len(have.Drop) == 0 && len(have.Add) == 0 {
		set(edit.Map{{Key: "drop", Value: []any{string(all)}}}, "capabilities")
		if len(keep) > 0 {
			set(values(keep), "capabilities", "add")
		}
		return edits
	}
	if !dropped {
		set([]any{string(all)}, "capabilities", "drop")
	}
	switch {
	case same(have.Add, keep):
	case len(keep) == 0:
		set(nil, "capabilities", "add")
	default:
		set(values(keep), "capabilities", "add")
	}
	return edits
}

// note stands above what a trial gave back.
const note = "Tried: as root it does not work without "

// commentFor says why capabilities are added, "" of everything else.
func commentFor(a *app.App, c *app.Container, path []any) string {
	if list := granted(a, c); len(list) > 0 && path[len(path)-1] == "add" {
		return note + join(list)
	}
	return ""
}

// granted gives the capabilities that a run showed c to need as root.
func granted(a *app.App, c *app.Container) []corev1.Capability {
	seen := a.Seen.Containers[c.Workload.ID()][c.Spec.Name]
	if seen == nil || !mayBeRoot(c) {
		return nil
	}
	var list []corev1.Capability
	for _, n := range seen.Capabilities {
		list = append(list, corev1.Capability(n))
	}
	return list
}

// needed gives the capabilities that c keeps, in order: NET_BIND_SERVICE where it
// asks for it, as Pod Security allows, and for root what a run showed. To any
// other user an added capability gives nothing: the runtime fills no ambient set.
func needed(a *app.App, c *app.Container) []corev1.Capability {
	var keep []corev1.Capability
	if slices.Contains(capabilities(c).Add, bind) {
		keep = append(keep, bind)
	}
	for _, k := range granted(a, c) {
		if !slices.Contains(keep, k) {
			keep = append(keep, k)
		}
	}
	slices.Sort(keep)
	return keep
}

// known says whether the fix can be written: for a user other than root always,
// for root once a run has shown the container.
func known(a *app.App, c *app.Container) bool {
	return !mayBeRoot(c) || c.Kind == app.Ephemeral || a.Seen.Containers[c.Workload.ID()][c.Spec.Name] != nil
}

// mayBeRoot says whether the manifest lets c run as root.
func mayBeRoot(c *app.Container) bool {
	user, nonRoot := c.RunAs()
	return (user == nil || *user == 0) && (nonRoot == nil || !*nonRoot)
}

// weaken gives every container the capabilities that the runtime gives by
// itself, in memory.
func weaken(a *app.App) {
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if sc := c.Spec.SecurityContext; sc != nil {
				sc.Capabilities = nil
			}
		}
	}
}

// capabilities gives what c's security context says, nothing where it has none.
func capabilities(c *app.Container) corev1.Capabilities {
	if sc := c.Spec.SecurityContext; sc != nil && sc.Capabilities != nil {
		return *sc.Capabilities
	}
	return corev1.Capabilities{}
}

func privileged(c *app.Container) bool {
	sc := c.Spec.SecurityContext
	return sc != nil && sc.Privileged != nil && *sc.Privileged
}

// windows says whether a pod declares an operating system without capabilities.
func windows(w *app.Workload) bool {
	return w.Pod.OS != nil && w.Pod.OS.Name == corev1.Windows
}

// same says whether two lists name the same capabilities.
func same(a, b []corev1.Capability) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}

func join(list []corev1.Capability) string {
	var names []string
	for _, n := range list {
		names = append(names, string(n))
	}
	return strings.Join(names, ", ")
}

func values(list []corev1.Capability) []any {
	var out []any
	for _, n := range list {
		out = append(out, string(n))
	}
	return out
}
