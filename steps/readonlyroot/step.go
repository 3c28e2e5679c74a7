// Package readonlyroot is the step that makes the root file system of every
// container read-only: what came with the image stays as it came.
//
// Pod Security has no rule about it. Which directories an application writes
// only a run can tell; each of them gets an emptyDir of its own.
package readonlyroot

import (
	_ "embed"
	"fmt"
	"strings"

	"road/internal/app"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// name is the step's name, also the key of its choices in road.yaml.
const name = "read-only-root"

// Step makes every container's root file system read-only.
var Step = &step.Step{
	Name:    name,
	Title:   "Make the root file system read-only",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "CIS Kubernetes 1.12", ID: "5.6.3"},
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1105"},
		{Framework: "ATT&CK v18", ID: "T1554"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
	Trial:   &step.Trial{Candidates: candidates, Grant: step.GrantWhole},
	Keeps:   keeps,
}

// check finds the containers whose root file system can be written.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		if windows(w) {
			continue
		}
		for c := range w.Containers() {
			if readOnly(c) {
				continue
			}
			n := needsOf(a, c)
			hint := "set readOnlyRootFilesystem: true in its securityContext"
			if len(n.dirs) > 0 {
				hint += ", with an emptyDir at " + strings.Join(n.dirs, ", ")
			}
			message := fmt.Sprintf("container %q can write to its root file system", c.Spec.Name)
			if n.top {
				message += ", and does so in /, where no volume can be mounted"
			}
			if n.early {
				message += ", and writes where the image has files (" + strings.Join(n.copied, ", ") + ") before any other could copy them"
			}
			f = append(f, step.Finding{Pos: c.Pos("securityContext", "readOnlyRootFilesystem"), Workload: w.ID(), Container: c.Spec.Name,
				Message: message, Hint: hint, NeedsRun: !n.known})
		}
	}
	step.Sort(f)
	return f
}

// keeps says which directories of a workload's containers stay writable.
func keeps(a *app.App, workload string) []string {
	w := a.Workload(workload)
	if w == nil || windows(w) {
		return nil
	}
	var out []string
	for c := range w.Containers() {
		n := needsOf(a, c)
		if readOnly(c) || len(n.dirs) == 0 {
			continue
		}
		line := fmt.Sprintf("%s writable in container %s, each an emptyDir", strings.Join(n.dirs, ", "), c.Spec.Name)
		if len(n.copied) > 0 {
			line += "; an init container copies what the image has in " + strings.Join(n.copied, ", ")
		}
		out = append(out, line)
	}
	return out
}

// weaken makes every root file system writable again, in memory. The emptyDirs
// stay: they take nothing away from an attacker.
func weaken(a *app.App) {
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if sc := c.Spec.SecurityContext; sc != nil {
				sc.ReadOnlyRootFilesystem = nil
			}
		}
	}
}

// readOnly says whether the container's root file system is read-only already.
func readOnly(c *app.Container) bool {
	sc := c.Spec.SecurityContext
	return sc != nil && sc.ReadOnlyRootFilesystem != nil && *sc.ReadOnlyRootFilesystem
}

// windows says whether a pod declares an operating system that knows no
// read-only root: the API refuses the field there.
func windows(w *app.Workload) bool {
	return w.Pod.OS != nil && w.Pod.OS.Name == corev1.Windows
}
