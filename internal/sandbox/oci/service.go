package oci

import (
	"fmt"
	"net/netip"
	"slices"

	"road/internal/app"
	"road/internal/sandbox/oci/network"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A service is one Service of the application, with the address it got.
type service struct {
	name, namespace string
	spec            corev1.ServiceSpec
	addr            netip.Addr        // zero for a headless one
	backends        []network.Backend // as the network was told last
	ingress         bool              // an Ingress or a route names it: users come through the ingress controller
}

func (s *service) headless() bool { return s.spec.ClusterIP == corev1.ClusterIPNone }

// dnsName is the service's name in cluster DNS.
func (s *service) dnsName() string { return s.name + "." + s.namespace + ".svc.cluster.local" }

// selects says whether a pod of w stands behind the service. A Service without
// a selector has no pods.
func (s *service) selects(w *app.Workload) bool { return s.matches(w, w.Meta.Labels) }

// leadsTo says whether a pod stands behind the service, by the labels of its own
// too: a Service may name one pod of a StatefulSet.
func (s *service) leadsTo(m *member) bool { return s.matches(m.workload, m.labels) }

func (s *service) matches(w *app.Workload, set map[string]string) bool {
	return w.Home() == s.namespace && app.Selects(s.spec.Selector, set)
}

// port finds the service's port by number.
func (s *service) port(number int) (corev1.ServicePort, bool) {
	for _, p := range s.spec.Ports {
		if int(p.Port) == number {
			return p, true
		}
	}
	return corev1.ServicePort{}, false
}

// targetPort gives the number of the container port behind p in a pod of spec:
// by number, by name, or the port itself where nothing is said.
func targetPort(p corev1.ServicePort, spec *corev1.PodSpec) (int, error) {
	if p.TargetPort.Type == intstr.String && p.TargetPort.StrVal != "" {
		for _, c := range lasting(spec) {
			for _, cp := range c.Ports {
				if cp.Name == p.TargetPort.StrVal && protocol(cp.Protocol) == protocol(p.Protocol) {
					return int(cp.ContainerPort), nil
				}
			}
		}
		return 0, fmt.Errorf("no container port is called %q", p.TargetPort.StrVal)
	}
	if n := p.TargetPort.IntValue(); n != 0 {
		return n, nil
	}
	return int(p.Port), nil
}

// lasting gives the containers that run as long as the pod: its own and its sidecars.
func lasting(spec *corev1.PodSpec) []corev1.Container {
	all := slices.Clone(spec.Containers)
	for _, c := range spec.InitContainers {
		if sidecar(&c) {
			all = append(all, c)
		}
	}
	return all
}

// sidecar says that an init container stays.
func sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// servicesOf lists the application's Services in file order. ExternalName
// services are left out: they are names for something outside.
func servicesOf(a *app.App) []*service {
	behind := map[string]bool{}
	for _, f := range a.Fronts() {
		behind[f.Namespace+"/"+f.Service] = true
	}
	var out []*service
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Service)
		if !ok || s.Spec.Type == corev1.ServiceTypeExternalName {
			continue
		}
		ns := o.Home()
		out = append(out, &service{name: o.Name, namespace: ns, spec: s.Spec, ingress: behind[ns+"/"+o.Name]})
	}
	return out
}

// options gives the service in the network's terms. A cluster address that the
// manifest fixes belongs to the cluster it was written for, so only None counts.
func (s *service) options(group string, backends []network.Backend) network.ServiceOptions {
	o := network.ServiceOptions{Group: group, Backends: backends, Sticky: s.spec.SessionAffinity == corev1.ServiceAffinityClientIP}
	if s.headless() {
		o.ClusterIP = corev1.ClusterIPNone
	}
	for i, p := range s.spec.Ports {
		o.Ports = append(o.Ports, network.ServicePort{Name: portName(p, i), Protocol: string(p.Protocol), Port: uint16(p.Port)})
	}
	return o
}

// portName names a port of a service; a single one may have no name.
func portName(p corev1.ServicePort, index int) string {
	if p.Name == "" {
		return fmt.Sprintf("port-%d", index)
	}
	return p.Name
}

// backend gives a pod in the network's terms. A port whose name no container has
// is not served by the pod, which is no reason against the others.
func (s *service) backend(m *member) network.Backend {
	b := network.Backend{Addr: m.end.IP, Targets: map[string]uint16{}}
	if m.workload.Kind == "StatefulSet" || m.workload.Pod.Subdomain == s.name {
		b.Hostname = m.hostname()
	}
	for i, p := range s.spec.Ports {
		n, err := targetPort(p, m.workload.Pod)
		if err != nil {
			n = 0
		}
		b.Targets[portName(p, i)] = uint16(n)
	}
	return b
}
