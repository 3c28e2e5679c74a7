// Package serviceaccount is the step that leaves the cluster's API out of the
// container: no token, a service account of the application's own, and no
// variables that list the namespace's services.
package serviceaccount

import (
	_ "embed"
	"fmt"
	"slices"

	"road/internal/app"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// Step takes the token and the list of services out of every pod.
var Step = &step.Step{
	Name:    "service-account",
	Title:   "Keep the cluster's API out of the container",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "CIS Kubernetes 1.12", ID: "5.1.5"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.1.6"},
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "OWASP Kubernetes 2025", ID: "K02"},
		{Framework: "ATT&CK v18", ID: "T1528"},
		{Framework: "ATT&CK v18", ID: "T1552.007"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
}

// check finds the pods that hold a token, or list the services.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		add := func(key, message, hint string) {
			f = append(f, step.Finding{Pos: w.Pos(w.PodPath.Join(key)), Workload: w.ID(), Message: message, Hint: hint})
		}
		n := needsOf(a, w)
		if n.account {
			add("serviceAccountName", fmt.Sprintf("the pod runs as the service account %q, which every pod of the namespace has", defaultAccount), "give it one of its own")
		}
		if n.token {
			add("automountServiceAccountToken", "the pod holds a token of the cluster's API", "set automountServiceAccountToken: false")
		}
		for _, i := range n.volumes {
			v := w.Pod.Volumes[i]
			f = append(f, step.Finding{Pos: w.Pos(w.PodPath.Join("volumes", i)), Workload: w.ID(),
				Message: fmt.Sprintf("the volume %q holds a token of the cluster's API", v.Name),
				Hint:    "take its serviceAccountToken out, or except the workload where it talks to the API (road.yaml: exceptions)"})
		}
		if n.links {
			add("enableServiceLinks", "the pod's variables list every service of the namespace", "set enableServiceLinks: false")
		}
	}
	step.Sort(f)
	return f
}

// defaultAccount is the service account of a pod that names none.
const defaultAccount = "default"

// needs are what a pod lacks.
type needs struct {
	account, token, links bool
	volumes               []int // the places of those that hold a token of the API: only their owner can tell what for
}

// needsOf finds what w's pod lacks.
func needsOf(a *app.App, w *app.Workload) needs {
	own := account(a, w)
	var automount *bool // as the API server decides: the pod's word, else its account's
	if own != nil {
		automount = own.AutomountServiceAccountToken
	}
	if w.Pod.AutomountServiceAccountToken != nil {
		automount = w.Pod.AutomountServiceAccountToken
	}
	return needs{
		account: accountName(w) == defaultAccount && w.Name != "" && !kustomized(a, w),
		token:   automount == nil || *automount,
		links:   w.Pod.EnableServiceLinks == nil || *w.Pod.EnableServiceLinks,
		volumes: projected(w),
	}
}

// projected gives the places of the volumes that hold a token of the API's. One for
// another audience is nothing to the API.
func projected(w *app.Workload) []int {
	var out []int
	for i, v := range w.Pod.Volumes {
		if v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool {
			return s.ServiceAccountToken != nil && s.ServiceAccountToken.Audience == ""
		}) {
			out = append(out, i)
		}
	}
	return out
}

// accountName gives the service account of w's pod.
func accountName(w *app.Workload) string {
	switch {
	case w.Pod.ServiceAccountName != "":
		return w.Pod.ServiceAccountName
	case w.Pod.DeprecatedServiceAccount != "":
		return w.Pod.DeprecatedServiceAccount
	}
	return defaultAccount
}

// account finds the service account of w's pod, nil where the application does
// not bring it.
func account(a *app.App, w *app.Workload) *corev1.ServiceAccount {
	return find(a, accountName(w), w.Home())
}

// find finds a service account of the application in a namespace.
func find(a *app.App, name, home string) *corev1.ServiceAccount {
	for _, o := range a.Objects {
		if s, ok := o.Typed.(*corev1.ServiceAccount); ok && s != nil && o.Name == name && o.Home() == home {
			return s
		}
	}
	return nil
}

// weaken gives every pod its token and its list of services back, in memory.
func weaken(a *app.App) {
	for _, w := range a.Workloads {
		w.Pod.AutomountServiceAccountToken, w.Pod.EnableServiceLinks = nil, nil
		if s := account(a, w); s != nil {
			s.AutomountServiceAccountToken = nil
		}
	}
}
