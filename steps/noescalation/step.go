// Package noescalation is the step that lets no process gain more power than it
// was started with: the kernel's no_new_privs for every container.
//
// Its rule is that of the check allowPrivilegeEscalation of Pod Security
// "restricted".
package noescalation

import (
	_ "embed"
	"fmt"
	"slices"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// Step forbids privilege escalation in every container.
var Step = &step.Step{
	Name:    "no-escalation",
	Title:   "Forbid privilege escalation",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "Pod Security", ID: "restricted: allowPrivilegeEscalation"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.2.6"},
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1548.001"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
}

// check finds the containers whose processes may gain power.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for c := range missing(a) {
		hint := "set allowPrivilegeEscalation: false in its securityContext"
		if why := contradiction(c); why != "" {
			hint = "first take " + why + " away: the API refuses both together"
		}
		f = append(f, step.Finding{Pos: c.Pos("securityContext", "allowPrivilegeEscalation"), Workload: c.Workload.ID(), Container: c.Spec.Name,
			Message: fmt.Sprintf("container %q lets its processes gain power", c.Spec.Name), Hint: hint})
	}
	step.Sort(f)
	return f
}

// fix forbids it, except where the API would refuse the pod.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	for c := range missing(a) {
		if contradiction(c) == "" {
			at := c.Path.Join("securityContext", "allowPrivilegeEscalation")
			edits = append(edits, edit.Edit{File: c.Workload.File, Set: &edit.Set{Doc: c.Workload.Doc, Path: at, Value: false}})
		}
	}
	return edits, nil
}

// missing visits the containers that do not forbid it.
func missing(a *app.App) func(yield func(*app.Container) bool) {
	return func(yield func(*app.Container) bool) {
		for _, w := range a.Workloads {
			if w.Pod.OS != nil && w.Pod.OS.Name == corev1.Windows {
				continue // knows no such thing
			}
			for c := range w.Containers() {
				sc := c.Spec.SecurityContext
				if sc != nil && sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation {
					continue
				}
				if !yield(c) {
					return
				}
			}
		}
	}
}

// contradiction names what the API does not accept beside the field, "" for
// nothing.
func contradiction(c *app.Container) string {
	sc := c.Spec.SecurityContext
	switch {
	case sc == nil:
	case sc.Privileged != nil && *sc.Privileged:
		return "privileged: true"
	case sc.Capabilities != nil && (slices.Contains(sc.Capabilities.Add, "SYS_ADMIN") || slices.Contains(sc.Capabilities.Add, "CAP_SYS_ADMIN")):
		return "the capability SYS_ADMIN"
	}
	return ""
}

// weaken allows it again, in memory.
func weaken(a *app.App) {
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if sc := c.Spec.SecurityContext; sc != nil {
				sc.AllowPrivilegeEscalation = nil
			}
		}
	}
}
