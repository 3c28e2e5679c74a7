package networkpolicy

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"road/internal/app"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// A policy is what is written for one workload.
type policy struct {
	of              *app.Workload // nil for one of a whole namespace
	name, namespace string        // namespace "" is not written
	comment         string
	selector        map[string]string   // empty: every pod of the namespace
	others          map[string][]string // values of labels that its pods do not have; nil selects by selector alone
	ingress, egress bool                // the directions that it is about
	in, out         []rule
}

// A rule lets some peers through to some ports.
type rule struct {
	comment string
	peers   []peer // none: everybody
	ports   []port
}

// A peer is pods, or a block of addresses.
type peer struct {
	namespace string            // "" for the policy's own
	pods      map[string]string // nil with a block, empty for all
	block     string
	except    []string
}

// A port is one port of a pod.
type port struct {
	protocol string
	number   int
}

// A controller is the ingress controller that stands before the application.
type controller struct {
	IngressNamespace string            `json:"ingressNamespace"`
	IngressLabels    map[string]string `json:"ingressLabels"`
}

// controllerOf gives the controller that road.yaml chooses for a workload.
func controllerOf(a *app.App, w *app.Workload) (controller, error) {
	var c controller
	if err := a.Config.Choice(name, w, &c); err != nil {
		return c, err
	}
	if c.IngressNamespace == "" && c.IngressLabels == nil {
		in := a.Config.Target.Ingress()
		return controller{in.Namespace, in.Labels}, nil
	}
	if c.IngressNamespace == "" {
		return c, fmt.Errorf("%s: steps: %s: %s: ingressLabels need the ingressNamespace that they are in", a.Config.File, name, w.Name)
	}
	return c, nil
}

// metadata is the address of the clouds' metadata services, which no rule that
// lets out to anywhere includes.
const metadata = "169.254.169.254/32"

// openInside gives the ports of a workload whose users are pods of its namespace.
func openInside(a *app.App, w *app.Workload) []port {
	_, _, inside := doorPorts(a, w)
	return unique(inside)
}

// policyFor gives the policy of one workload, for the directions in which it has
// none.
func policyFor(a *app.App, w *app.Workload, c controller) *policy {
	ingress, egress := isolated(a, w)
	p := &policy{name: w.Name, namespace: w.Namespace, selector: labelsOf(w), ingress: !ingress, egress: !egress}
	if p.ingress {
		p.in = append(doors(a, w, c), callers(a, w)...)
	}
	if p.egress {
		p.out = callees(a, w)
	}
	return p
}

// doors gives the rules for those who come from outside the application: a port
// of a Service is a front door where no workload uses it, or where an Ingress, a
// route or the Service's own type opens it to the outside; so is a port of the node's.
func doors(a *app.App, w *app.Workload, c controller) []rule {
	fromController, fromAnywhere, fromNamespace := doorPorts(a, w)
	var rules []rule
	add := func(comment string, ports []port, peers ...peer) {
		if len(ports) > 0 {
			rules = append(rules, rule{comment, peers, unique(ports)})
		}
	}
	add("The front door: users come through the ingress controller. Namespace and pod stand in ONE peer, so both must match. That it is this controller is an assumption.",
		fromController, peer{namespace: c.IngressNamespace, pods: c.IngressLabels})
	add("The front door: the Service opens it to the outside.", fromAnywhere)
	add("The front door: a hostPort opens it to whoever reaches the node.", hostPorts(w))
	add("The front door: no workload of the application uses this port, so its users are taken to be pods of the same namespace.",
		fromNamespace, peer{pods: map[string]string{}})
	return rules
}

// doorPorts gives the ports of a workload's front doors, by who comes through them.
func doorPorts(a *app.App, w *app.Workload) (fromController, fromAnywhere, fromNamespace []port) {
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Service)
		if !ok || o.Home() != w.Home() || !app.Selects(s.Spec.Selector, w.Meta.Labels) {
			continue
		}
		for _, sp := range s.Spec.Ports {
			n, ok := targetPort(sp, w)
			if !ok {
				continue
			}
			p := port{protocolOf(sp.Protocol), n}
			switch {
			case s.Spec.Type == corev1.ServiceTypeLoadBalancer || s.Spec.Type == corev1.ServiceTypeNodePort:
				fromAnywhere = append(fromAnywhere, p)
			case a.InFront(o, int(sp.Port), sp.Name):
				fromController = append(fromController, p)
			case !used(a, w, p):
				fromNamespace = append(fromNamespace, p)
			}
		}
	}
	return fromController, fromAnywhere, fromNamespace
}

// hostPorts gives the ports of a workload's pods that its nodes open to whoever
// reaches them.
func hostPorts(w *app.Workload) []port {
	var out []port
	for c := range w.Containers() {
		for _, p := range c.Spec.Ports {
			if p.HostPort != 0 {
				out = append(out, port{protocolOf(p.Protocol), int(p.ContainerPort)})
			}
		}
	}
	return out
}

// callers gives a rule for every workload that was seen to call w.
func callers(a *app.App, w *app.Workload) []rule {
	var rules []rule
	for _, other := range a.Workloads {
		list, _ := called(a, other)
		var ports []port
		for _, x := range list {
			if x.Workload == w.ID() {
				ports = append(ports, port{x.Protocol, x.Port})
			}
		}
		if len(ports) > 0 {
			rules = append(rules, rule{fmt.Sprintf("Seen: %s calls it.", other.ID()), []peer{podsOf(other, w)}, unique(ports)})
		}
	}
	return rules
}

// callees gives the rules for what w was seen to call, and DNS for whoever calls
// anybody.
func callees(a *app.App, w *app.Workload) []rule {
	list, resolves := called(a, w)
	ports, hosts := map[string][]port{}, map[string][]string{}
	peers, order := map[string]peer{}, []string{}
	for _, x := range list {
		key, p := peerOf(a, w, x)
		if key == "" {
			continue
		}
		if _, ok := peers[key]; !ok {
			peers[key] = p
			order = append(order, key)
		}
		ports[key] = append(ports[key], port{x.Protocol, x.Port})
		if x.Workload == "" && !slices.Contains(hosts[key], x.Host) {
			hosts[key] = append(hosts[key], x.Host)
		}
		if x.Host == app.APIServer {
			ports[key] = append(ports[key], port{"TCP", 443})
		}
	}
	var rules []rule
	for _, key := range order {
		comment := fmt.Sprintf("Seen: it calls %s.", key)
		if h := hosts[key]; len(h) > 0 {
			comment = fmt.Sprintf("Seen: it calls %s. A policy knows no names: write the addresses here where you know them.%s", quoted(h), stoodIn(a, h))
		}
		if p, ok := placeOf(a, key); ok {
			comment = fmt.Sprintf("Seen: it calls %q, which is %s (%s: services).%s", key, p, app.FileName, map[bool]string{true: " Of all its pods: labels would name those that serve it."}[len(peers[key].pods) == 0 && peers[key].block == ""])
		}
		if key == app.APIServer {
			comment = "Seen: it calls the cluster's API server, which no pod selector matches: write its address here."
		}
		rules = append(rules, rule{comment, []peer{peers[key]}, unique(ports[key])})
	}
	if resolves || len(rules) > 0 {
		rules = append(rules, names(a))
	}
	return rules
}

// names is the rule for cluster DNS.
func names(a *app.App) rule {
	dns := a.Config.Target.DNS()
	return rule{"Names: the cluster's DNS, over UDP and, for long answers, TCP.",
		[]peer{{namespace: dns.Namespace, pods: dns.Labels}}, []port{{"UDP", dns.Port}, {"TCP", dns.Port}}}
}

// peerOf gives what stands for something that was called, with a key under which
// rules are put together.
func peerOf(a *app.App, w *app.Workload, x app.Connection) (string, peer) {
	anywhere := peer{block: "0.0.0.0/0", except: []string{"10.0.0.0/8", metadata, "172.16.0.0/12", "192.168.0.0/16"}}
	addr, err := netip.ParseAddr(x.Host)
	if i := a.Config.Services[x.Host]; i != nil && x.Workload == "" {
		switch {
		case i.Address != "":
			return x.Host, peer{block: i.Address + "/32"}
		case i.Namespace != "":
			return x.Host, peer{namespace: otherThan(w.Home(), i.Namespace), pods: i.Labels}
		}
	}
	switch {
	case x.Workload != "":
		if other := a.Workload(x.Workload); other != nil {
			return other.ID(), podsOf(other, w)
		}
		return "", peer{}
	case x.Host == app.APIServer:
		return app.APIServer, peer{block: "0.0.0.0/0", except: []string{metadata}}
	case err == nil && addr.Is4():
		return x.Host, peer{block: x.Host + "/32"}
	case err == nil:
		return x.Host, peer{block: x.Host + "/128"}
	}
	return "the internet", anywhere
}

// placeOf says where road.yaml has something that a stand-in served in the run.
func placeOf(a *app.App, host string) (string, bool) {
	i := a.Config.Services[host]
	switch {
	case i == nil || i.Address == "" && i.Namespace == "":
		return "", false
	case i.Address != "":
		return "at " + i.Address, true
	}
	return "in namespace " + i.Namespace, true
}

// stoodIn says of hosts for which others stood in during the run that nothing is
// known of where they are.
func stoodIn(a *app.App, hosts []string) string {
	var list []string
	for _, h := range hosts {
		if a.Config.Services[h] != nil {
			list = append(list, h)
		}
	}
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf(" Another server stood in for %s: where the real one has a private address, it has to be written here, or in %s (services: address).", quoted(list), app.FileName)
}

// otherThan gives namespace, "" where it is home.
func otherThan(home, namespace string) string {
	if namespace == home {
		return ""
	}
	return namespace
}

// podsOf selects a workload's pods as seen from another's policy.
func podsOf(of, from *app.Workload) peer {
	return peer{namespace: otherThan(from.Home(), of.Home()), pods: labelsOf(of)}
}

// labelsOf gives the labels that tell a workload's pods from others: those that
// its controller selects by, which never change, else all of the pod's. A pod
// without labels gets one.
func labelsOf(w *app.Workload) map[string]string {
	var l map[string]string
	switch t := w.Typed.(type) {
	case *appsv1.Deployment:
		if t.Spec.Selector != nil {
			l = t.Spec.Selector.MatchLabels
		}
	case *appsv1.StatefulSet:
		if t.Spec.Selector != nil {
			l = t.Spec.Selector.MatchLabels
		}
	case *appsv1.DaemonSet:
		if t.Spec.Selector != nil {
			l = t.Spec.Selector.MatchLabels
		}
	case *appsv1.ReplicaSet:
		if t.Spec.Selector != nil {
			l = t.Spec.Selector.MatchLabels
		}
	case *corev1.ReplicationController:
		l = t.Spec.Selector
	}
	if !app.Selects(l, w.Meta.Labels) {
		l = w.Meta.Labels
	}
	if len(l) == 0 {
		l = map[string]string{ownLabel: w.Name}
	}
	return l
}

// ownLabel is the label that a pod without any gets.
const ownLabel = "app.kubernetes.io/name"

// used says whether a workload was seen to call that port of w.
func used(a *app.App, w *app.Workload, p port) bool {
	for _, other := range a.Workloads {
		list, _ := called(a, other)
		if slices.Contains(list, app.Connection{Workload: w.ID(), Protocol: p.protocol, Port: p.number}) {
			return true
		}
	}
	return false
}

// targetPort gives the pod's port behind a Service's.
func targetPort(sp corev1.ServicePort, w *app.Workload) (int, bool) {
	if sp.TargetPort.StrVal == "" {
		return cmp.Or(int(sp.TargetPort.IntVal), int(sp.Port)), true
	}
	for c := range w.Containers() {
		for _, p := range c.Spec.Ports {
			if p.Name == sp.TargetPort.StrVal && protocolOf(p.Protocol) == protocolOf(sp.Protocol) {
				return int(p.ContainerPort), true
			}
		}
	}
	return 0, false
}

func protocolOf(p corev1.Protocol) string {
	if p == "" {
		return "TCP"
	}
	return string(p)
}

// unique sorts ports and leaves out repetitions.
func unique(ports []port) []port {
	slices.SortFunc(ports, func(a, b port) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(b.protocol, a.protocol)) // UDP first
	})
	return slices.Compact(ports)
}

func quoted(list []string) string {
	var q []string
	for _, s := range list {
		q = append(q, fmt.Sprintf("%q", s))
	}
	return strings.Join(q, ", ")
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
