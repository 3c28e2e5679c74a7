// Package seccomp is the step that has the kernel answer only the system calls
// that containers need: the runtime's default filter for every container.
//
// Its rule is that of the check seccompProfile of Pod Security "restricted".
package seccomp

import (
	_ "embed"
	"fmt"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// Step puts every container under the runtime's default seccomp filter.
var Step = &step.Step{
	Name:    name,
	Title:   "Filter system calls",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "Pod Security", ID: "restricted: seccompProfile"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.6.2"},
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1611"},
		{Framework: "ATT&CK v18", ID: "T1068"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
	Trace:   trace,
	Unborne: unborne,
}

// unborne knows since when the field is there, and which filters OpenShift takes.
func unborne(a *app.App, w *app.Workload) string {
	t := a.Config.Target
	if own, err := ownProfile(a, w); t.OpenShift && err == nil && own {
		return "OpenShift's restricted-v2 takes no filter but RuntimeDefault"
	}
	if t.Older(19) {
		return "Kubernetes " + t.Kubernetes() + " has no seccompProfile (1.19 has)"
	}
	return ""
}

// check finds the pods and containers without a filter, and those without one of
// their own that are to have it.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		for _, g := range gaps(w) {
			f = append(f, g.finding)
		}
		for _, c := range unprofiled(a, w) {
			s := callsOf(a, c)
			f = append(f, step.Finding{
				Pos: c.Pos("securityContext", "seccompProfile"), Workload: w.ID(), Container: c.Spec.Name,
				Message: fmt.Sprintf("container %q has no system call filter of its own", c.Spec.Name),
				Hint:    "write a profile of what it calls, and set seccompProfile: {type: Localhost}", NeedsRun: s == nil || len(s.Names) == 0,
			})
		}
	}
	step.Sort(f)
	return f
}

// fix writes the runtime's default filter where check finds none, and the
// profiles of those that are to have their own.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	names := namesOf(a)
	for _, w := range a.Workloads {
		if _, err := ownProfile(a, w); err != nil {
			return nil, err
		}
		own, got := fixProfiles(a, w, names)
		edits = append(edits, own...)
		for _, g := range gaps(w) {
			if g.container != "" && got[g.container] {
				continue
			}
			e := &edit.Set{Doc: w.Doc, Path: g.path.Join("seccompProfile"), Value: edit.Map{{Key: "type", Value: string(corev1.SeccompProfileTypeRuntimeDefault)}}}
			if g.typed {
				e.Path, e.Value = e.Path.Join("type"), string(corev1.SeccompProfileTypeRuntimeDefault)
			}
			if !w.Has(g.path) {
				e.Before = step.FirstList(w)
			}
			edits = append(edits, edit.Edit{File: w.File, Set: e})
		}
	}
	return edits, nil
}

// A gap is one security context that lacks the filter or has none on purpose.
type gap struct {
	finding step.Finding
	path    app.Path // of the security context
	typed   bool     // it names a type, which is the wrong one

	container string // path of its container; "" for the pod's
}

// gaps finds those of a pod: the pod's own where a container counts on it, and
// those of containers that say otherwise.
func gaps(w *app.Workload) []gap {
	if windows(w) {
		return nil // knows no such thing
	}
	var pod *corev1.SeccompProfile
	if w.Pod.SecurityContext != nil {
		pod = w.Pod.SecurityContext.SeccompProfile
	}
	var own []gap
	inherits := false
	for c := range w.Containers() {
		var p *corev1.SeccompProfile
		if c.Spec.SecurityContext != nil {
			p = c.Spec.SecurityContext.SeccompProfile
		}
		switch {
		case p == nil:
			inherits = true
		case !filters(p):
			own = append(own, gap{step.Finding{
				Pos: c.Pos("securityContext", "seccompProfile", "type"), Workload: w.ID(), Container: c.Spec.Name,
				Message: fmt.Sprintf("container %q lets every system call through (seccompProfile: %s)", c.Spec.Name, p.Type),
				Hint:    "set it to RuntimeDefault",
			}, c.Path.Join("securityContext"), p.Type != "", c.Path.String()})
		}
	}
	if pod != nil && !filters(pod) || pod == nil && inherits {
		at := w.PodPath.Join("securityContext")
		g := gap{step.Finding{
			Pos: w.Pos(at.Join("seccompProfile")), Workload: w.ID(),
			Message: "the pod names no filter for system calls, so every one goes through",
			Hint:    "set seccompProfile: {type: RuntimeDefault} in the pod's securityContext",
		}, at, false, ""}
		if pod != nil {
			g.typed = pod.Type != ""
			g.finding.Pos = w.Pos(at.Join("seccompProfile", "type"))
			g.finding.Message = fmt.Sprintf("the pod lets every system call through (seccompProfile: %s)", pod.Type)
		}
		own = append([]gap{g}, own...)
	}
	return own
}

// filters says whether a profile is one that Pod Security accepts.
func filters(p *corev1.SeccompProfile) bool {
	return p.Type == corev1.SeccompProfileTypeRuntimeDefault || p.Type == corev1.SeccompProfileTypeLocalhost
}

// weaken lets every system call through, in memory.
func weaken(a *app.App) {
	for _, w := range a.Workloads {
		if sc := w.Pod.SecurityContext; sc != nil {
			sc.SeccompProfile = nil
		}
		for c := range w.Containers() {
			if sc := c.Spec.SecurityContext; sc != nil {
				sc.SeccompProfile = nil
			}
		}
	}
}
