package walk

import (
	"cmp"
	"slices"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// caller gives the workload as which a Service's port is asked: one that was seen to
// call it, or that a policy lets in, where no front door leads there, since nobody
// else is let in then; "" asks as users do.
func caller(a *app.App, o *app.Object, s *corev1.Service, p corev1.ServicePort) string {
	if s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer ||
		a.InFront(o, int(p.Port), p.Name) {
		return ""
	}
	for _, other := range a.Workloads {
		for c := range other.Containers() {
			in := a.Seen.Containers[other.ID()][c.Spec.Name]
			if in == nil {
				continue
			}
			for _, x := range in.Connects {
				w := a.Workload(x.Workload)
				if w == nil || w == other || w.Home() != o.Home() || !app.Selects(s.Spec.Selector, w.Meta.Labels) {
					continue
				}
				if to := p.TargetPort; to.StrVal != "" || x.Port == int(cmp.Or(to.IntVal, p.Port)) {
					return other.ID()
				}
			}
		}
	}
	return letIn(a, o, s, p)
}

// letIn gives the first workload that the policies of the pods behind a Service let in
// to a port, "" where they let in others too, or nobody holds them. It is what can be
// known of an application that nobody has seen run yet.
func letIn(a *app.App, o *app.Object, s *corev1.Service, p corev1.ServicePort) string {
	first := ""
	for _, policy := range a.Objects {
		np, ok := policy.Typed.(*networkingv1.NetworkPolicy)
		if !ok || policy.Home() != o.Home() || !slices.ContainsFunc(a.Workloads, func(w *app.Workload) bool {
			return w.Home() == o.Home() && app.Selects(s.Spec.Selector, w.Meta.Labels) && w.Matches(&np.Spec.PodSelector)
		}) {
			continue
		}
		for _, rule := range np.Spec.Ingress {
			if !concerns(rule.Ports, p) {
				continue
			}
			if len(rule.From) == 0 {
				return ""
			}
			for _, peer := range rule.From {
				i := slices.IndexFunc(a.Workloads, func(w *app.Workload) bool {
					return peer.PodSelector != nil && peer.NamespaceSelector == nil && w.Home() == o.Home() && !everyone(peer.PodSelector) && w.Matches(peer.PodSelector)
				})
				if i < 0 {
					return "" // users, or whoever it is
				}
				first = cmp.Or(first, a.Workloads[i].ID())
			}
		}
	}
	return first
}

func everyone(s *metav1.LabelSelector) bool {
	return len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
}

// concerns says whether a rule's ports may be the one that a Service's port leads to.
func concerns(ports []networkingv1.NetworkPolicyPort, p corev1.ServicePort) bool {
	to := p.TargetPort
	if to.IntVal == 0 && to.StrVal == "" {
		to = intstr.FromInt32(p.Port)
	}
	return len(ports) == 0 || slices.ContainsFunc(ports, func(x networkingv1.NetworkPolicyPort) bool {
		if x.Port == nil || x.Port.Type != to.Type { // a name may stand for the number
			return true
		}
		return *x.Port == to || x.EndPort != nil && x.Port.IntVal <= to.IntVal && to.IntVal <= *x.EndPort
	})
}
