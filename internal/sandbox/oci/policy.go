package oci

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"
	"road/internal/sandbox/oci/standin"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
)

// Addresses of the machines around the cluster that real ones have a fixed
// place for: the metadata service, and the node of the control plane, which the
// API server's Service leads to.
var (
	metadataAddr     = netip.MustParseAddr("169.254.169.254")
	controlPlaneAddr = netip.MustParseAddr("172.18.0.2")
)

// surround starts what stands around every application: the attacker's host with
// his name server, a cloud's metadata service and the API server.
func (e *engine) surround(ctx context.Context) (err error) {
	e.around = map[sandbox.StandIn]*standin.Server{}
	if e.attacker, err = e.net.AttachOutside("attacker"); err != nil {
		return err
	}
	pc, err := e.attacker.ListenPacket(ctx, "udp4", ":53")
	if err != nil {
		return err
	}
	l, err := e.attacker.Listen(ctx, "tcp4", ":53")
	if err != nil {
		return err
	}
	e.around[sandbox.NameServer] = standin.NameServer(pc, l, sandbox.AttackerZone, e.attacker.IP.AsSlice())
	e.net.DelegateZone(sandbox.AttackerZone, netip.AddrPortFrom(e.attacker.IP, 53))

	cloud, err := e.net.AttachAt("metadata", metadataAddr)
	if err != nil {
		return err
	}
	if l, err = cloud.Listen(ctx, "tcp4", ":80"); err != nil {
		return err
	}
	e.around[sandbox.Metadata] = standin.Metadata(l)

	plane, err := e.net.AttachAt("control-plane", controlPlaneAddr)
	if err != nil {
		return err
	}
	cert, err := e.issuer.serving()
	if err != nil {
		return err
	}
	if l, err = plane.Listen(ctx, "tcp4", ":6443"); err != nil {
		return err
	}
	e.around[sandbox.API] = standin.API(l, cert, e.issuer.who)
	_, err = e.net.SetService("default", "kubernetes", network.ServiceOptions{
		ClusterIP: network.APIServer.String(),
		Ports:     []network.ServicePort{{Name: "https", Port: 443, Target: 6443}},
		Backends:  []network.Backend{{Addr: controlPlaneAddr}},
	})
	return err
}

// control shows one pod's part of the stand-ins' journals.
type control struct {
	around map[sandbox.StandIn]*standin.Server
	pod    netip.Addr
	since  time.Time

	d         *deployment
	namespace string // the pod's
}

// Log gives what a stand-in was asked.
func (c control) Log(s sandbox.StandIn) []string {
	server := c.around[s]
	if server == nil {
		return nil
	}
	var lines []string
	for _, e := range server.Entries() {
		if (s == sandbox.NameServer || e.From == c.pod) && e.Time.After(c.since) {
			lines = append(lines, e.Line)
		}
	}
	return lines
}

// setPolicies has the application's NetworkPolicies hold for its pods.
func (d *deployment) setPolicies() error {
	p := network.Policies{Namespaces: map[string]map[string]string{}}
	for _, o := range d.app.Objects {
		switch t := o.Typed.(type) {
		case *networkingv1.NetworkPolicy:
			np := t.DeepCopy()
			np.Namespace = o.Home()
			p.List = append(p.List, np)
		case *corev1.Namespace:
			p.Namespaces[o.Name] = t.Labels
		}
	}
	return d.e.net.SetPolicies(d.group, p)
}

// namedPorts gives what a policy may call by name in a pod.
func namedPorts(spec *corev1.PodSpec) []network.NamedPort {
	var ports []network.NamedPort
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, p := range c.Ports {
			if p.Name != "" {
				ports = append(ports, network.NamedPort{Name: p.Name, Protocol: string(p.Protocol), Port: uint16(p.ContainerPort)})
			}
		}
	}
	return ports
}

// calls is what a deployment remembers of who called whom.
type calls struct {
	places map[netip.Addr]string // workload by address, also of pods that are gone
	frozen bool                  // an attack may have begun
	flows  []network.Flow        // as they were then
}

func (c *calls) place(a netip.Addr, workload string) {
	if c.places == nil {
		c.places = map[netip.Addr]string{}
	}
	c.places[a] = workload
}

// attacked keeps what the application called so far, and nothing later: what an
// attacker calls from inside is not what it needs.
func (d *deployment) attacked() error {
	d.mu.Lock()
	members, frozen := append([]*member(nil), d.members...), d.calls.frozen
	d.mu.Unlock()
	if frozen {
		return nil
	}
	drainOpens(members)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls.frozen {
		return nil
	}
	flows, err := d.e.net.Flows()
	if err != nil {
		return err
	}
	d.calls.flows, d.calls.frozen = flows, true
	return nil
}

// learnCalls adds to s what each workload's pods called. Calls of the
// application's clients, the neighbour and the node are not among them, nor
// calls to machines of the attacker's or to the metadata service.
func (d *deployment) learnCalls(s *app.Seen) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	flows := d.calls.flows
	if !d.calls.frozen {
		var err error
		if flows, err = d.e.net.Flows(); err != nil {
			return err
		}
	}
	byWorkload := map[string][]app.Connection{}
	resolves := map[string]bool{}
	names := d.e.net.Names()
	for _, f := range flows {
		from, ours := d.calls.places[f.From]
		if !ours {
			continue
		}
		if netip.AddrPortFrom(f.To, f.Port) == d.e.net.DNSAddr() {
			resolves[from] = true
			continue
		}
		c := app.Connection{Workload: d.calls.places[f.To], Protocol: f.Protocol, Port: int(f.Port)}
		if c.Workload == "" {
			if c.Host = d.hostOf(f.To, names); c.Host == "" {
				continue
			}
		}
		byWorkload[from] = append(byWorkload[from], c)
	}
	for _, m := range d.members {
		id := m.workload.ID()
		for c := range m.workload.Containers() {
			if c.Kind == app.Ephemeral {
				continue
			}
			in := s.Inside(id, c.Spec.Name)
			in.Connects = connections(append(in.Connects, byWorkload[id]...))
			in.Resolves = in.Resolves || resolves[id]
		}
	}
	return nil
}

// connections sorts what was called and leaves out repetitions; it is never nil.
func connections(list []app.Connection) []app.Connection {
	slices.SortFunc(list, func(a, b app.Connection) int {
		return cmp.Or(strings.Compare(a.Workload, b.Workload), strings.Compare(a.Host, b.Host),
			strings.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Port, b.Port))
	})
	if list = slices.Compact(list); list == nil {
		return []app.Connection{}
	}
	return list
}

// hostOf names what lies outside the application, "" for what is none of its own
// business.
func (d *deployment) hostOf(a netip.Addr, names map[netip.Addr]string) string {
	if host := d.e.outside.host(a); host != "" {
		return host
	}
	switch {
	case a == controlPlaneAddr:
		return app.APIServer
	case a == metadataAddr, d.e.net.Attached(a):
		return ""
	case names[a] != "":
		return names[a]
	}
	return a.String()
}
