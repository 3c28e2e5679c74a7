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
// to a port, "" where they let in everybody, or nobody holds them. It is what can be
// known of an application that nobody has seen run yet.
func letIn(a *app.App, o *app.Object, s *corev1.Service, p corev1.ServicePort) string {
	first := ""
	for _, policy := range a.Objects {
		np, ok := policy.Typed.(*networkingv1.NetworkPolicy)
		if !ok || policy.Home() != o.Home() {
			continue
		}
		i := slices.IndexFunc(a.Workloads, func(w *app.Workload) bool {
			return w.Home() == o.Home() && app.Selects(s.Spec.Selector, w.Meta.Labels) && w.Matches(&np.Spec.PodSelector)
		})
		if i < 0 {
			continue
		}
		for _, rule := range np.Spec.Ingress {
			if !concerns(rule.Ports, p, a.Workloads[i]) {
				continue
			}
			if len(rule.From) == 0 || slices.ContainsFunc(rule.From, everybody) {
				return ""
			}
			for _, peer := range rule.From {
				if j := slices.IndexFunc(a.Workloads, func(w *app.Workload) bool {
					return peer.PodSelector != nil && peer.NamespaceSelector == nil && w.Home() == o.Home() && w.Matches(peer.PodSelector)
				}); j >= 0 {
					first = cmp.Or(first, a.Workloads[j].ID())
				}
			}
		}
	}
	return first
}

// everybody says whether a peer may be whoever asks as users do: an address, or any
// pod of the namespace or of all.
func everybody(peer networkingv1.NetworkPolicyPeer) bool {
	all := func(s *metav1.LabelSelector) bool {
		return s == nil || len(s.MatchLabels) == 0 && len(s.MatchExpressions) == 0
	}
	return peer.IPBlock != nil || all(peer.PodSelector) && all(peer.NamespaceSelector)
}

// concerns says whether a rule's ports have the one of a workload's pods that a
// Service's port leads to.
func concerns(ports []networkingv1.NetworkPolicyPort, p corev1.ServicePort, w *app.Workload) bool {
	protocol := cmp.Or(p.Protocol, corev1.ProtocolTCP)
	number := func(x intstr.IntOrString) int32 {
		if x.Type == intstr.Int {
			return x.IntVal
		}
		for c := range w.Containers() {
			for _, named := range c.Spec.Ports {
				if named.Name == x.StrVal && cmp.Or(named.Protocol, corev1.ProtocolTCP) == protocol {
					return named.ContainerPort
				}
			}
		}
		return -1
	}
	to := number(p.TargetPort)
	if to == 0 {
		to = p.Port
	}
	return len(ports) == 0 || slices.ContainsFunc(ports, func(x networkingv1.NetworkPolicyPort) bool {
		if x.Protocol != nil && *x.Protocol != protocol || x.Protocol == nil && protocol != corev1.ProtocolTCP {
			return false
		}
		if x.Port == nil {
			return true
		}
		from := number(*x.Port)
		return to > 0 && (from == to || x.EndPort != nil && from <= to && to <= *x.EndPort)
	})
}
