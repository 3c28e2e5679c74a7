package network

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"sync"

	"road/internal/sandbox/oci/world"

	"golang.org/x/sys/unix"
)

// AttachOptions say who an endpoint is.
type AttachOptions struct {
	Name      string
	Namespace string
	Labels    map[string]string

	// Group ties endpoints together that policies may hold for and mean: the
	// pods of one running application and those around it. Two applications in
	// one namespace do not hold each other's. Endpoints of no group are peers
	// for all.
	Group string
	Ports []NamedPort // what a policy may call by name

	// NetNS is the path of the network namespace that the endpoint gets, which
	// stays its maker's; "" makes a new one.
	NetNS string
}

// A NamedPort is a container's port with a name.
type NamedPort struct {
	Name     string
	Protocol string // "TCP", which is also the default, or "UDP"
	Port     uint16
}

// An Endpoint is a network namespace on the network: a pod's, or one without any
// process, in which we listen and dial ourselves.
type Endpoint struct {
	Name, Namespace string
	Labels          map[string]string
	Group           string
	Ports           []NamedPort
	IP              netip.Addr
	Path            string // where the namespace is pinned, for an OCI spec
	FD              int    // open on it until Close

	net     *Network
	link    link
	outside bool
	given   bool // the namespace is another's
	once    sync.Once
	err     error
}

// Attach makes a pod's endpoint.
func (n *Network) Attach(o AttachOptions) (*Endpoint, error) {
	return n.attach(o, &n.pods, "p", false)
}

// AttachOutside makes the endpoint of a machine outside the cluster, of the
// attacker's. Pods reach it; it reaches neither pods nor Services.
func (n *Network) AttachOutside(name string) (*Endpoint, error) {
	return n.attach(AttachOptions{Name: name}, &n.outside, outsideLink, true)
}

// attach takes an address from p and names the link prefix and a number.
func (n *Network) attach(o AttachOptions, p *pool, prefix string, outside bool) (*Endpoint, error) {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil, errors.New("the network is closed")
	}
	ip, err := p.take()
	n.links++
	name := fmt.Sprint(prefix, n.links) // an interface's name has at most 15 bytes
	n.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return n.connect(o, ip, name, outside)
}

// AttachAt makes the endpoint of a machine outside the cluster with an address
// of one's choice, which must lie in none of the network's ranges.
func (n *Network) AttachAt(name string, ip netip.Addr) (*Endpoint, error) {
	if podRange.Contains(ip) || serviceRange.Contains(ip) || outsideRange.Contains(ip) {
		return nil, fmt.Errorf("attach %s: %s is not free to choose", name, ip)
	}
	n.mu.Lock()
	n.links++
	link := fmt.Sprint(outsideLink, n.links)
	n.mu.Unlock()
	return n.connect(AttachOptions{Name: name}, ip, link, true)
}

// connect makes the namespace and the link of an endpoint. Policies hold for it
// before anything can run in it.
func (n *Network) connect(o AttachOptions, ip netip.Addr, name string, outside bool) (*Endpoint, error) {
	e := &Endpoint{Name: o.Name, Namespace: o.Namespace, Labels: maps.Clone(o.Labels), Group: o.Group, Ports: o.Ports, IP: ip,
		Path: filepath.Join(n.dir, name), net: n, outside: outside}
	var err error
	if o.NetNS != "" {
		e.Path, e.given = o.NetNS, true
		e.FD, err = world.OpenNetNS(e.Path)
	} else {
		e.FD, err = world.NewNetNS(e.Path)
	}
	if err != nil {
		e.giveBack()
		return nil, fmt.Errorf("attach %s: %w", o.Name, err)
	}
	e.link = link{name: name, fd: e.FD, router: gateway, addr: ip}
	if err := errors.Join(n.enter(e), e.link.add(), n.fw.addHairpin(ip)); err != nil {
		return nil, errors.Join(fmt.Errorf("attach %s: %w", o.Name, err), e.Close())
	}
	n.onClose(e.Close)
	return e, nil
}

// Close takes the endpoint off the network. It may be called again.
func (e *Endpoint) Close() error {
	e.once.Do(func() {
		e.err = errors.Join(e.link.remove(), e.net.leave(e), e.net.fw.removeHairpin(e.IP), unix.Close(e.FD))
		if !e.given {
			e.err = errors.Join(e.err, world.RemoveNetNS(e.Path))
		}
		e.giveBack()
	})
	return e.err
}

// giveBack lets another have the endpoint's address.
func (e *Endpoint) giveBack() {
	e.net.mu.Lock()
	defer e.net.mu.Unlock()
	if e.outside {
		e.net.outside.give(e.IP)
	} else {
		e.net.pods.give(e.IP)
	}
}

// named gives the pod's ports of a name.
func (e *Endpoint) named(name string, protocol byte) []uint16 {
	var out []uint16
	for _, p := range e.Ports {
		number, err := ServicePort{Protocol: p.Protocol}.protocol()
		if p.Name == name && err == nil && number == protocol {
			out = append(out, p.Port)
		}
	}
	return out
}

// Addr is the endpoint's IP address.
func (e *Endpoint) Addr() string { return e.IP.String() }

// DialContext connects from the endpoint. A pod's names are resolved as in the
// pod: by cluster DNS, along its namespace's search list.
func (e *Endpoint) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	name, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	ips, err := e.resolve(ctx, name)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	var errs []error
	for _, ip := range ips {
		c, err := world.DialNS(ctx, e.FD, network, net.JoinHostPort(ip.String(), port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// Listen listens in the endpoint; the host part of addr is an IP or empty.
func (e *Endpoint) Listen(ctx context.Context, network, addr string) (net.Listener, error) {
	return world.ListenNS(ctx, e.FD, network, addr)
}

// ListenPacket is Listen for datagrams.
func (e *Endpoint) ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error) {
	return world.ListenPacketNS(ctx, e.FD, network, addr)
}
