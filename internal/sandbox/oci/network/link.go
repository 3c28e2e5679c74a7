package network

import (
	"fmt"
	"net"
	"net/netip"
	"os"

	"road/internal/sandbox/oci/world"

	"github.com/vishvananda/netlink"
)

// routerSysctls make the world's namespace a router. Filters against forged
// source addresses are off: a kernel has them off unless its distribution turns
// them on, and what a forged address reaches is for an attack to find out.
// Refusals are always told: by default a kernel keeps most of them to itself.
var routerSysctls = []struct{ name, value string }{
	{"ipv4/ip_forward", "1"},
	{"ipv4/conf/all/rp_filter", "0"},
	{"ipv4/conf/default/rp_filter", "0"},
	{"ipv4/icmp_ratelimit", "0"},
	{"ipv6/conf/default/disable_ipv6", "1"},
}

// setUpRouter prepares the namespace that this process is in.
func setUpRouter() error {
	for _, s := range routerSysctls {
		err := os.WriteFile("/proc/sys/net/"+s.name, []byte(s.value), 0)
		if err != nil && !os.IsNotExist(err) { // a kernel without IPv6
			return err
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: host(node)}); err != nil {
		return err
	}
	return nil
}

// tearDownRouter takes back what setUpRouter added, so that another network can
// be made in this world.
func tearDownRouter() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.AddrDel(lo, &netlink.Addr{IPNet: host(node)})
}

// A link is a pair of devices: name on the router, eth0 in a namespace.
type link struct {
	name   string
	fd     int        // the namespace
	router netip.Addr // on the router's end
	addr   netip.Addr // on the other
}

// add makes the pair and the routes both ways.
func (l link) add() error {
	la := netlink.NewLinkAttrs()
	la.Name = l.name
	veth := &netlink.Veth{LinkAttrs: la, PeerName: "eth0", PeerNamespace: netlink.NsFd(l.fd)}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add link %s: %w", l.name, err)
	}
	dev, err := netlink.LinkByName(l.name)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(dev, &netlink.Addr{IPNet: host(l.router)}); err != nil {
		return fmt.Errorf("address of %s: %w", l.name, err)
	}
	if err := netlink.LinkSetUp(dev); err != nil {
		return err
	}
	if err := world.InNS(l.fd, l.addPeer); err != nil {
		return fmt.Errorf("far end of %s: %w", l.name, err)
	}
	return netlink.RouteAdd(&netlink.Route{LinkIndex: dev.Attrs().Index, Scope: netlink.SCOPE_LINK, Dst: host(l.addr)})
}

// addPeer sets up the far end, on a thread in its namespace.
func (l link) addPeer() error {
	h, err := netlink.NewHandle() // the sockets of this namespace
	if err != nil {
		return err
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	eth, err := h.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := h.AddrAdd(eth, &netlink.Addr{IPNet: host(l.addr)}); err != nil {
		return err
	}
	for _, dev := range []netlink.Link{lo, eth} {
		if err := h.LinkSetUp(dev); err != nil {
			return err
		}
	}
	i := eth.Attrs().Index
	if err := h.RouteAdd(&netlink.Route{LinkIndex: i, Scope: netlink.SCOPE_LINK, Dst: host(l.router)}); err != nil {
		return err
	}
	return h.RouteAdd(&netlink.Route{LinkIndex: i, Gw: l.router.AsSlice()})
}

// remove takes both ends away.
func (l link) remove() error {
	dev, err := netlink.LinkByName(l.name)
	if err != nil {
		return err
	}
	return netlink.LinkDel(dev)
}

func host(a netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(a, a.BitLen())) }

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
