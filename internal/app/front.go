package app

import (
	"slices"
	"strconv"
	"strings"

	networkingv1 "k8s.io/api/networking/v1"
)

// A Front is a port of a Service that users reach from outside the cluster: an
// Ingress or a route of the Gateway API leads to it.
type Front struct {
	Namespace, Service string
	Port               int    // 0 where it is named
	PortName           string // "" where it has a number; where both are missing, every port
}

// Leads says whether f is about that port of a Service.
func (f Front) Leads(service *Object, port int, name string) bool {
	if f.Service != service.Name || f.Namespace != service.Home() {
		return false
	}
	return f.Port == 0 && f.PortName == "" || f.Port == port && port != 0 || f.PortName != "" && f.PortName == name
}

// Fronts gives the ports that the application's Ingresses and routes lead to, in
// the order of its files.
func (a *App) Fronts() []Front {
	var out []Front
	for _, o := range a.Objects {
		if ing, ok := o.Typed.(*networkingv1.Ingress); ok {
			out = append(out, ingressFronts(o, ing)...)
		} else if isRoute(o) {
			out = append(out, routeFronts(o)...)
		}
	}
	return out
}

// InFront says whether users reach that port of a Service from outside the cluster.
func (a *App) InFront(service *Object, port int, name string) bool {
	return slices.ContainsFunc(a.Fronts(), func(f Front) bool { return f.Leads(service, port, name) })
}

func ingressFronts(o *Object, ing *networkingv1.Ingress) []Front {
	var out []Front
	add := func(b *networkingv1.IngressBackend) {
		if b != nil && b.Service != nil {
			out = append(out, Front{o.Home(), b.Service.Name, int(b.Service.Port.Number), b.Service.Port.Name})
		}
	}
	add(ing.Spec.DefaultBackend)
	for _, r := range ing.Spec.Rules {
		if r.HTTP == nil {
			continue
		}
		for i := range r.HTTP.Paths {
			add(&r.HTTP.Paths[i].Backend)
		}
	}
	return out
}

// isRoute says whether o is a route of the Gateway API, of any version: they all
// have the same backends.
func isRoute(o *Object) bool {
	return strings.HasPrefix(o.APIVersion, "gateway.networking.k8s.io/") &&
		slices.Contains([]string{"HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute"}, o.Kind)
}

func routeFronts(o *Object) []Front {
	var out []Front
	text := func(p Path) string {
		s, _ := o.Value(p).(string)
		return s
	}
	rules := o.Within.Join("spec", "rules")
	for i := 0; o.Has(rules.Join(i)); i++ {
		refs := rules.Join(i, "backendRefs")
		for j := 0; o.Has(refs.Join(j)); j++ {
			ref := refs.Join(j)
			if kind := text(ref.Join("kind")); kind != "" && kind != "Service" {
				continue
			}
			f := Front{Namespace: text(ref.Join("namespace")), Service: text(ref.Join("name"))}
			if f.Namespace == "" {
				f.Namespace = o.Home()
			}
			f.Port, _ = strconv.Atoi(text(ref.Join("port"))) // what is no number is none
			out = append(out, f)
		}
	}
	return out
}
