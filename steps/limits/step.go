// Package limits is the step that gives every container requests and limits for
// memory, processor time and the node's disk, from what a run showed it to use.
//
// Pod Security has no rule about them.
package limits

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// name is the step's name, also the key of its choices in road.yaml.
const name = "limits"

// Step gives every container requests and limits.
var Step = &step.Step{
	Name:    name,
	Title:   "Set requests and limits",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1496.001"},
		{Framework: "ATT&CK v18", ID: "T1499"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
}

// resources are what the step asks for, in the order in which it writes them.
var resources = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage}

// A lack is what a container has neither a value of its own nor its pod's for.
type lack struct {
	requests, limits []corev1.ResourceName
}

func (l lack) none() bool { return len(l.requests)+len(l.limits) == 0 }

// lackOf finds what c lacks. A missing request is no lack where there is a
// limit: the API server fills in the limit. What is set for the pod as a whole
// holds its containers too.
func lackOf(c *app.Container) lack {
	var l lack
	if c.Kind == app.Ephemeral {
		return l // the API allows it no resources
	}
	whole := &corev1.ResourceRequirements{}
	if r := c.Workload.Pod.Resources; r != nil {
		whole = r
	}
	for _, r := range resources {
		limited := has(c.Spec.Resources.Limits, r) || has(whole.Limits, r)
		if !limited {
			l.limits = append(l.limits, r)
		}
		if !limited && !has(c.Spec.Resources.Requests, r) && !has(whole.Requests, r) {
			l.requests = append(l.requests, r)
		}
	}
	return l
}

// has says whether a list gives a resource; 0 means none to the kubelet.
func has(list corev1.ResourceList, r corev1.ResourceName) bool {
	q, ok := list[r]
	return ok && !q.IsZero()
}

// check finds the containers that lack a request or a limit.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			l := lackOf(c)
			if l.none() {
				continue
			}
			f = append(f, step.Finding{Pos: c.Pos("resources"), Workload: w.ID(), Container: c.Spec.Name,
				Message: fmt.Sprintf("container %q has %s", c.Spec.Name, l), Hint: hint(a, c, l), NeedsRun: peakOf(a, c) == nil})
		}
	}
	step.Sort(f)
	return f
}

// String gives "no requests and no limits for cpu, memory".
func (l lack) String() string {
	if slices.Equal(l.requests, l.limits) {
		return "no requests and no limits for " + join(l.limits)
	}
	var parts []string
	for _, p := range []struct {
		what  string
		names []corev1.ResourceName
	}{{"limits", l.limits}, {"requests", l.requests}} {
		if len(p.names) > 0 {
			parts = append(parts, fmt.Sprintf("no %s for %s", p.what, join(p.names)))
		}
	}
	return strings.Join(parts, " and ")
}

func join(names []corev1.ResourceName) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

// hint says what to write, as far as a run has shown it.
func hint(a *app.App, c *app.Container, l lack) string {
	p := peakOf(a, c)
	if p == nil {
		return "a run measures what it uses"
	}
	var ch choice
	_ = a.Config.Choice(name, c.Workload, &ch) // a wrong one is fix's to report
	var words []string
	for _, r := range l.limits {
		words = append(words, fmt.Sprintf("%s: %s", r, limitFor(c, r, p, ch)))
	}
	return "set limits of " + strings.Join(words, ", ")
}

// weaken takes requests and limits away, in memory.
func weaken(a *app.App) {
	for _, w := range a.Workloads {
		w.Pod.Resources = nil
		for c := range w.Containers() {
			for _, r := range resources {
				delete(c.Spec.Resources.Limits, r)
				delete(c.Spec.Resources.Requests, r)
			}
		}
	}
}
