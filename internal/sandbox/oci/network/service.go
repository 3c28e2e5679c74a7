package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// ServiceOptions describe a Service.
type ServiceOptions struct {
	// Group is that of the endpoints which know the Service by name; "" is known
	// to all, where their own group has none of that name.
	Group string

	// ClusterIP is "" for an address of the network's choice, which stays the
	// same as long as the network lives, "None" for a headless Service, whose
	// name stands for its backends, or an address.
	ClusterIP string

	ExternalName string // the name is an alias of this one, and there is nothing else
	Sticky       bool   // sessionAffinity: ClientIP
	Ports        []ServicePort
	Backends     []Backend
}

// A ServicePort is one port of a Service.
type ServicePort struct {
	Name     string
	Protocol string // "TCP", which is also the default, or "UDP"
	Port     uint16
	Target   uint16 // port of the backends; 0 means Port
}

// A Backend is a pod behind a Service.
type Backend struct {
	Addr     netip.Addr
	Hostname string            // with a headless Service: a name of its own below the Service's
	Targets  map[string]uint16 // by port name, where this pod differs from ServicePort.Target; 0 is a port that it does not serve
}

// A serviceKey tells the Services of all groups apart: each group is a cluster
// of its own, in which names mean its own Services.
type serviceKey struct{ group, namespace, name string }

// A service is a Service that was set.
type service struct {
	o       ServiceOptions
	addr    netip.Addr // zero without a cluster IP
	own     bool       // addr was taken from the pool
	removed bool       // and only its address is kept
	chains  map[portKey]*nftables.Chain
}

// SetService makes a Service or changes it, at once and for new connections. It
// gives its address, zero for one without. Connections are spread evenly over
// the backends; without any they are refused. Only endpoints of o.Group find it
// by name.
func (n *Network) SetService(namespace, name string, o ServiceOptions) (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return netip.Addr{}, errors.New("the network is closed")
	}
	key := serviceKey{o.Group, namespace, name}
	s := n.services[key]
	if s == nil {
		s = &service{chains: map[portKey]*nftables.Chain{}}
	}
	o.Ports, o.Backends = slices.Clone(o.Ports), slices.Clone(o.Backends)
	addr, own, err := n.clusterIP(s, o)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("service %s/%s: %w", namespace, name, err)
	}
	targets, err := o.targets(addr)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("service %s/%s: %w", namespace, name, err)
	}
	if err := n.fw.replace(s.chains, targets); err != nil {
		return netip.Addr{}, fmt.Errorf("service %s/%s: %w", namespace, name, err)
	}
	s.o, s.addr, s.own, s.removed = o, addr, own, false
	n.services[key] = s
	return addr, forgetDatagrams(targets)
}

// RemoveService takes a Service of no group away. Its address is kept for it.
func (n *Network) RemoveService(namespace, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.services[serviceKey{"", namespace, name}]
	if s == nil {
		return nil
	}
	s.removed = true
	return n.fw.replace(s.chains, nil)
}

// RemoveServices takes all Services of a group away, and gives their addresses
// back.
func (n *Network) RemoveServices(group string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	var errs []error
	for k, s := range n.services {
		if group == "" || k.group != group {
			continue
		}
		if err := n.fw.replace(s.chains, nil); err != nil {
			errs = append(errs, err)
			continue
		}
		if s.addr.IsValid() {
			n.clusterP.give(s.addr)
		}
		delete(n.services, k)
	}
	return errors.Join(errs...)
}

// clusterIP decides on the address of s as o wants it.
func (n *Network) clusterIP(s *service, o ServiceOptions) (addr netip.Addr, own bool, err error) {
	switch {
	case o.ClusterIP == "None" || o.ExternalName != "":
		return netip.Addr{}, false, nil
	case o.ClusterIP == "" && s.own:
		return s.addr, true, nil
	case o.ClusterIP == "":
		addr, err = n.clusterP.take()
		return addr, true, err
	}
	if addr, err = netip.ParseAddr(o.ClusterIP); err != nil {
		return addr, false, err
	}
	if !serviceRange.Contains(addr) {
		return addr, false, fmt.Errorf("clusterIP %s is not in %s", addr, serviceRange)
	}
	for k, other := range n.services {
		if other != s && other.addr == addr {
			return addr, false, fmt.Errorf("clusterIP %s belongs to %s/%s", addr, k.namespace, k.name)
		}
	}
	n.clusterP.used[addr] = true
	return addr, false, nil
}

// targets gives what stands behind each port, nothing where there is no address.
func (o ServiceOptions) targets(addr netip.Addr) ([]target, error) {
	if !addr.IsValid() {
		return nil, nil
	}
	var ts []target
	for _, p := range o.Ports {
		proto, err := p.protocol()
		if err != nil {
			return nil, err
		}
		t := target{key: portKey{addr, proto, p.Port}, sticky: o.Sticky}
		if slices.ContainsFunc(ts, func(u target) bool { return u.key == t.key }) {
			return nil, fmt.Errorf("port %d/%s twice", p.Port, p.Protocol)
		}
		for _, b := range o.Backends {
			if n := b.port(p); n != 0 {
				t.backends = append(t.backends, netip.AddrPortFrom(b.Addr, n))
			}
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// port is where a backend serves p, 0 where it does not.
func (b Backend) port(p ServicePort) uint16 {
	n, own := b.Targets[p.Name]
	switch {
	case own:
		return n
	case p.Target != 0:
		return p.Target
	}
	return p.Port
}

func (p ServicePort) protocol() (byte, error) {
	switch p.Protocol {
	case "", "TCP":
		return unix.IPPROTO_TCP, nil
	case "UDP":
		return unix.IPPROTO_UDP, nil
	}
	return 0, fmt.Errorf("port %d: protocol %s is not supported", p.Port, p.Protocol)
}

// forgetDatagrams has the next datagram to each port choose a backend anew:
// unlike a TCP connection, an exchange of datagrams never ends by itself.
func forgetDatagrams(targets []target) error {
	var errs []error
	for _, t := range targets {
		if t.key.protocol != unix.IPPROTO_UDP {
			continue
		}
		f := &netlink.ConntrackFilter{}
		f.AddIP(netlink.ConntrackOrigDstIP, t.key.addr.AsSlice())
		f.AddProtocol(t.key.protocol)
		f.AddPort(netlink.ConntrackOrigDstPort, t.key.port)
		_, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
