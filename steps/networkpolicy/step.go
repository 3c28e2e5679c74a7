// Package networkpolicy is the step that closes the network: every pod is
// isolated in both directions, and only what a run showed to be needed is let
// through.
//
// Its rule is that of CIS 5.3.2, by the pod: each pod is selected by a policy for
// ingress and by one for egress. What the policies let through is the run's
// business; a static look cannot say which connections an application needs.
package networkpolicy

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"

	networkingv1 "k8s.io/api/networking/v1"
)

//go:embed explain.md
var explain string

// name is the step's name, also the key of its choices in road.yaml.
const name = "network-policy"

// Step denies every connection and lets through the ones that were seen.
var Step = &step.Step{
	Name:    name,
	Title:   "Deny by default, then only what is needed",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "CIS Kubernetes 1.12", ID: "5.3.1"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.3.2"},
		{Framework: "OWASP Kubernetes 2025", ID: "K05"},
		{Framework: "ATT&CK v18", ID: "T1046"},
		{Framework: "ATT&CK v18", ID: "T1552.005"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
}

// check finds the pods that no policy isolates.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		add := func(message, hint string, needsRun bool) {
			f = append(f, step.Finding{Pos: w.Pos(w.PodPath), Workload: w.ID(), Message: message, Hint: hint, NeedsRun: needsRun, Apart: len(w.Meta.Labels) > 0})
		}
		if w.Pod.HostNetwork {
			add("the pod is on the node's network, which no policy holds", "take out hostNetwork: true, or keep the pod off this application", !known(a, w))
			continue
		}
		ingress, egress := isolated(a, w)
		message := ""
		switch {
		case !ingress && !egress:
			message = "no policy limits who reaches its pods, nor whom they reach"
		case !ingress:
			message = "no policy limits who reaches its pods"
		case !egress:
			message = "no policy limits whom its pods reach"
		default:
			continue
		}
		add(message, fmt.Sprintf("a NetworkPolicy for the pods with the labels %s", oneLine(labelsOf(w))), !known(a, w))
	}
	step.Sort(f)
	return f
}

// isolated says in which directions policies hold a workload's pods.
func isolated(a *app.App, w *app.Workload) (ingress, egress bool) {
	for _, o := range a.Objects {
		np, ok := o.Typed.(*networkingv1.NetworkPolicy)
		if !ok || np == nil || o.Home() != w.Home() || !w.Matches(&np.Spec.PodSelector) {
			continue
		}
		in, out := directions(np)
		ingress, egress = ingress || in, egress || out
	}
	return ingress, egress
}

// directions gives what a policy is about, as the API server completes it.
func directions(np *networkingv1.NetworkPolicy) (ingress, egress bool) {
	if len(np.Spec.PolicyTypes) == 0 {
		return true, len(np.Spec.Egress) > 0
	}
	return slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeIngress),
		slices.Contains(np.Spec.PolicyTypes, networkingv1.PolicyTypeEgress)
}

// known says whether runs have shown what a workload needs: what it called
// itself, and what all others called, who may have called it.
func known(a *app.App, w *app.Workload) bool {
	for _, other := range a.Workloads {
		if (other == w || other.Replicas > 0) && !looked(a, other) {
			return false
		}
	}
	return true
}

// looked says whether a run watched what a workload called.
func looked(a *app.App, w *app.Workload) bool {
	for c := range w.Containers() {
		if in := a.Seen.Containers[w.ID()][c.Spec.Name]; in != nil && in.Connects != nil {
			return true
		}
	}
	return false
}

// called gives what a workload's pods called, each once, and whether they asked
// cluster DNS.
func called(a *app.App, w *app.Workload) (list []app.Connection, resolves bool) {
	for c := range w.Containers() {
		in := a.Seen.Containers[w.ID()][c.Spec.Name]
		if in == nil {
			continue
		}
		for _, x := range in.Connects {
			if !slices.Contains(list, x) {
				list = append(list, x)
			}
		}
		resolves = resolves || in.Resolves
	}
	return list, resolves
}

// weaken takes every policy away, in memory.
func weaken(a *app.App) {
	a.Objects = slices.DeleteFunc(a.Objects, func(o *app.Object) bool { return o.Kind == "NetworkPolicy" })
}

// oneLine shows labels as kubectl does: app=web,tier=front.
func oneLine(labels map[string]string) string {
	var parts []string
	for _, k := range sortedKeys(labels) {
		parts = append(parts, k+"="+labels[k])
	}
	return strings.Join(parts, ",")
}
