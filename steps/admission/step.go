// Package admission is the step that holds the line: the namespace takes no pod
// that is weaker than those which the road has made.
//
// Pod Security's labels ask for what Pod Security knows. For the rest that the
// application's pods fulfil (read-only root, limits, no token, digests) there is
// a ValidatingAdmissionPolicy. What is asked for is never more than what every
// pod of the application in that namespace gives as it stands, so the step breaks
// none of them.
package admission

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
)

//go:embed explain.md
var explain string

// Step labels the namespaces and binds a policy to them.
var Step = &step.Step{
	Name:    "admission",
	Title:   "Hold the line: admit no weaker pod",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "Pod Security", ID: "restricted"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.2.1"},
		{Framework: "OWASP Kubernetes 2025", ID: "K04"},
		{Framework: "ATT&CK v18", ID: "T1610"},
	},
	Check:         check,
	Fix:           fix,
	Weaken:        weaken,
	Attacks:       attacks,
	AdmissionOnly: true,
	Unborne:       unborne,
}

// unborne knows since when labels of Pod Security mean something.
func unborne(a *app.App, _ *app.Workload) string {
	if t := a.Config.Target; t.Older(23) {
		return "Kubernetes " + t.Kubernetes() + " has no Pod Security admission (1.23 has)"
	}
	return ""
}

// policies is the first Kubernetes 1.x that takes a ValidatingAdmissionPolicy
// without being told to.
const policies = 30

// A place is one namespace that pods of the application land in.
type place struct {
	name      string
	workloads []*app.Workload
	object    *app.Object // the Namespace in PATH; nil where there is none
	labels    map[string]string
	target    app.Target
}

// places gives the namespaces of the application's pods, in order of first use.
func places(a *app.App) []*place {
	var list []*place
	for _, w := range a.Workloads {
		i := slices.IndexFunc(list, func(p *place) bool { return p.name == w.Home() })
		if i < 0 {
			i = len(list)
			list = append(list, &place{name: w.Home(), target: a.Config.Target})
		}
		list[i].workloads = append(list[i].workloads, w)
	}
	for _, p := range list {
		for _, o := range a.Objects {
			if ns, ok := o.Typed.(*corev1.Namespace); ok && o.Name == p.name && p.object == nil {
				p.object, p.labels = o, ns.Labels
			}
		}
	}
	return list
}

// foreign says why a namespace is not the application's to close, "" where it is.
func (p *place) foreign() string {
	switch {
	case p.name == app.DefaultNamespace:
		return "the pods land in the namespace default, which everybody shares"
	case strings.HasPrefix(p.name, "kube-"):
		return fmt.Sprintf("the pods land in the namespace %s, which is the cluster's own", p.name)
	}
	return ""
}

// check finds the pods that a weaker one could take the place of.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, p := range places(a) {
		for _, lack := range p.lacks(a) {
			for _, w := range p.workloads {
				f = append(f, step.Finding{Pos: w.Pos(app.Path{"metadata", "namespace"}), Workload: w.ID(), Message: lack.message, Hint: lack.hint})
			}
		}
	}
	step.Sort(f)
	return f
}

// A lack is one thing that a namespace lets in.
type lack struct {
	message, hint string
}

// lacks lists what is wrong with a namespace.
func (p *place) lacks(a *app.App) []lack {
	if why := p.foreign(); why != "" {
		return []lack{{message: why, hint: "give the application a namespace of its own: in the manifests, or in road.yaml (namespace: NAME) where they are applied with kubectl -n NAME"}}
	}
	var l []lack
	level, why := p.level()
	switch missing := p.missing(level); {
	case level == api.LevelPrivileged && !enforced(p.labels):
		l = append(l, lack{fmt.Sprintf("the namespace %s admits every pod, and has to: %s", p.name, why), "harden that pod first, or give it a namespace of its own"})
	case len(missing) > 0:
		l = append(l, lack{fmt.Sprintf("the namespace %s does not hold its pods to Pod Security: %s", p.name, strings.Join(missing, ", ")), p.hint(level)})
	}
	if rules := p.unruled(a); len(rules) > 0 {
		var names []string
		for _, r := range rules {
			names = append(names, r.name)
		}
		l = append(l, lack{fmt.Sprintf("the namespace %s admits pods without what its own have: %s", p.name, strings.Join(names, ", ")),
			"a ValidatingAdmissionPolicy, bound to the namespace; it holds for pods of others there too"})
	}
	return l
}

func (p *place) hint(level api.Level) string {
	return fmt.Sprintf("label it %s=%s, %s=%s and %s=%s, each with its version; that holds for pods of others in %s too", api.EnforceLevelLabel, level, api.AuditLevelLabel, api.LevelRestricted, api.WarnLevelLabel, api.LevelRestricted, p.name)
}

// weaken takes the labels and the policies away, in memory.
func weaken(a *app.App) {
	for _, o := range a.Objects {
		if ns, ok := o.Typed.(*corev1.Namespace); ok {
			for label := range ns.Labels {
				if strings.HasPrefix(label, labelPrefix) {
					delete(ns.Labels, label)
				}
			}
		}
	}
	a.Objects = slices.DeleteFunc(a.Objects, func(o *app.Object) bool {
		switch o.Typed.(type) {
		case *admissionv1.ValidatingAdmissionPolicy, *admissionv1.ValidatingAdmissionPolicyBinding:
			return true
		}
		return false
	})
}
