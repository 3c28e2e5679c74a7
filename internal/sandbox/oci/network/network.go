// Package network is the cluster network of a world. The world's own network
// namespace is the router, and stands for the node: every pod hangs on it by a
// routed pair of devices, so that all its traffic passes the router's forward
// hook, where policies can hold it. (A bridge would carry traffic between pods
// of one node past that hook.) Services are addresses that the router rewrites,
// names are answered by a server of ours that lies in a namespace of its own as
// the cluster's DNS pod does, and the way out ends in a proxy: no link leads to
// the host.
package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"road/internal/app"
	"road/internal/sandbox/oci/world"

	"golang.org/x/sys/unix"
)

// NodeIP is the address of the node that all pods are on.
const NodeIP = "10.244.0.1"

// APIServer is the address of Service default/kubernetes, as pods are told it.
var APIServer = netip.MustParseAddr("10.96.0.1")

// The address plan is that of a common cluster. Nothing of it can be seen
// outside the world, so that two worlds share it, and it may be the host's too.
var (
	podRange     = netip.MustParsePrefix("10.244.0.0/16")
	serviceRange = netip.MustParsePrefix("10.96.0.0/16")
	outsideRange = netip.MustParsePrefix("198.51.100.0/24") // TEST-NET-2: the attacker's hosts

	gateway   = netip.MustParseAddr("169.254.1.1") // of every pod, on the router's end of its devices
	node      = netip.MustParseAddr(NodeIP)
	dnsServer = netip.MustParseAddr("10.96.0.10") // Service kube-system/kube-dns

	routerUp = netip.MustParseAddr("192.0.0.1") // the router's end of the way out
	proxyUp  = netip.MustParseAddr("192.0.0.2") // the proxy's end
)

// Options change what a network allows. The zero value is right for a walk.
type Options struct {
	// Mirrors are URLs or host names of package mirrors and registries that builds
	// may reach on a private network of the host's, beside those that the host's
	// own configuration names.
	Mirrors []string

	// DNS is where cluster DNS is, with its port; the zero value is Kubernetes' own
	// place for it.
	DNS app.Spot
}

// A Network is the cluster network of one world. Its methods may be called at
// once from several goroutines.
type Network struct {
	world  *world.World
	dir    string // pinned namespaces
	egress *egress
	dns    *nameServer
	fw     *firewall

	mu       sync.Mutex
	services map[serviceKey]*service
	groups   map[string]*policyGroup
	ends     map[*Endpoint]bool
	pods     pool
	outside  pool
	clusterP pool
	links    int
	closers  []func() error
	closed   bool
}

// New makes the network of a world: the router, the way out and cluster DNS.
// There is one per world.
func New(w *world.World, o Options) (_ *Network, err error) {
	n := &Network{
		world:    w,
		dir:      filepath.Join(w.Run, "netns"),
		services: map[serviceKey]*service{},
		groups:   map[string]*policyGroup{},
		ends:     map[*Endpoint]bool{},
		pods:     newPool(podRange, node),
		outside:  newPool(outsideRange),
		clusterP: newPool(serviceRange, APIServer, dnsServer),
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("network: %w", err), n.Close())
		}
	}()
	if err := os.Mkdir(n.dir, 0o711); err != nil {
		return nil, err
	}
	n.onClose(func() error { return os.Remove(n.dir) })
	if n.egress, err = newEgress(w, o.Mirrors); err != nil {
		return nil, err
	}
	n.onClose(tearDownRouter)
	if err := setUpRouter(); err != nil {
		return nil, err
	}
	if n.fw, err = newFirewall(); err != nil {
		return nil, err
	}
	n.onClose(n.fw.Close)
	if o.DNS.Namespace == "" {
		o.DNS = app.Target{}.DNS()
	}
	if err := n.setUpDNS(o.DNS); err != nil {
		return nil, err
	}
	if err := n.setUpUplink(); err != nil {
		return nil, err
	}
	return n, n.useInWorld()
}

// setUpDNS puts the name server into the cluster, as a Service with one pod.
func (n *Network) setUpDNS(at app.Spot) error {
	e, err := n.Attach(AttachOptions{Name: "coredns", Namespace: at.Namespace, Labels: at.Labels})
	if err != nil {
		return err
	}
	n.dns = newNameServer(n)
	if err := n.dns.listen(e, uint16(at.Port)); err != nil {
		return err
	}
	n.onClose(n.dns.Close)
	_, err = n.SetService(at.Namespace, "kube-dns", ServiceOptions{
		ClusterIP: dnsServer.String(),
		Ports: []ServicePort{
			{Name: "dns", Protocol: "UDP", Port: 53, Target: uint16(at.Port)},
			{Name: "dns-tcp", Protocol: "TCP", Port: 53, Target: uint16(at.Port)},
		},
		Backends: []Backend{{Addr: e.IP}},
	})
	if err != nil {
		return err
	}
	_, err = n.SetService("default", "kubernetes", ServiceOptions{
		ClusterIP: APIServer.String(),
		Ports:     []ServicePort{{Name: "https", Port: 443, Target: 6443}},
	})
	return err
}

// useInWorld has everything in the world that is no pod, such as the steps of a
// build, ask our name server.
func (n *Network) useInWorld() error {
	conf := filepath.Join(n.world.Run, "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+dnsServer.String()+"\n"), 0o644); err != nil {
		return err
	}
	target, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return nil // none: programs then ask 127.0.0.1, and find nobody
	}
	if err := unix.Mount(conf, target, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", target, err)
	}
	n.onClose(func() error { return unix.Unmount(target, unix.MNT_DETACH) })
	return nil
}

// ResolvConf is the /etc/resolv.conf of a pod in a namespace, as the kubelet
// writes it with dnsPolicy ClusterFirst.
func ResolvConf(namespace string) string {
	return "search " + joinDomains(namespace) + "\nnameserver " + dnsServer.String() + "\noptions ndots:5\n"
}

// onClose has f run by Close, before what was there earlier.
func (n *Network) onClose(f func() error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.closers = append(n.closers, f)
}

// Close takes the network down: every endpoint, listener and rule of it.
func (n *Network) Close() error {
	n.mu.Lock()
	closers := n.closers
	n.closers, n.closed = nil, true
	n.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	return errors.Join(errs...)
}

// A pool gives out the addresses of a range in turn, so that one that was given
// back is not used again soon: peers may remember it.
type pool struct {
	prefix netip.Prefix
	last   netip.Addr
	used   map[netip.Addr]bool
}

// newPool has all addresses of p but the first and the reserved ones.
func newPool(p netip.Prefix, reserved ...netip.Addr) pool {
	used := map[netip.Addr]bool{p.Addr(): true}
	for _, a := range reserved {
		used[a] = true
	}
	return pool{p, p.Addr(), used}
}

func (p *pool) take() (netip.Addr, error) {
	for a := p.last.Next(); a != p.last; a = a.Next() {
		if !p.prefix.Contains(a) || !p.prefix.Contains(a.Next()) { // the last one is broadcast
			a = p.prefix.Addr()
		}
		if !p.used[a] {
			p.used[a], p.last = true, a
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no free address in %s", p.prefix)
}

func (p *pool) give(a netip.Addr) { delete(p.used, a) }
