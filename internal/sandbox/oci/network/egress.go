package network

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"road/internal/sandbox/oci/world"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// An egress decides which connections may leave by the way out. They start on
// the host, and so could reach what only the host may. The rules, first match
// first:
//
//  1. never the host itself, on any of its addresses, nor its loopback,
//     link-local addresses, the metadata services of clouds, or what is no
//     unicast address;
//  2. a package mirror of the host's, by address or by a name that resolved to
//     it, on its own port, 80 or 443, even where it has a private address; builds
//     reach in the same way what else the host's configuration or Options.Mirrors
//     names. That is not for pods, but for the mirrors behind it: a proxy leads
//     on to wherever it can connect (see onlyMirrors);
//  3. no other private address, and none of the networks that the host is on;
//  4. everything else: the internet.
type egress struct {
	mu        sync.Mutex
	self      []netip.Addr   // the host's addresses
	onLink    []netip.Prefix // networks that the host reaches without a gateway
	mirrors   hosts
	forBuilds hosts
}

// hosts are some by name, with the ports that are open there, and the addresses
// that they are known to have.
type hosts struct {
	names map[string][]uint16
	addrs map[netip.Addr][]uint16
}

// never are ranges that rule 1 refuses.
var never = prefixes("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/3",
	"100.100.100.200/32", // metadata of Alibaba Cloud
	"168.63.129.16/32")   // of Azure

// private are ranges that rule 3 refuses.
var private = prefixes("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")

func prefixes(s ...string) []netip.Prefix {
	ps := make([]netip.Prefix, len(s))
	for i := range s {
		ps[i] = netip.MustParsePrefix(s[i])
	}
	return ps
}

// newEgress reads the host's addresses, networks and package configuration.
func newEgress(w *world.World, mirrors []string) (*egress, error) {
	e := &egress{}
	if err := world.InNS(w.HostNet, e.readHost); err != nil {
		return nil, fmt.Errorf("the host's network: %w", err)
	}
	for _, m := range hostMirrors("/etc/apt", os.Getenv) {
		e.mirrors.add(m)
	}
	for _, p := range append(hostProxies("/etc/apt", os.Getenv), mirrors...) {
		e.forBuilds.add(p)
	}
	return e, nil
}

// readHost reads addresses and routes, on a thread in the host's namespace.
func (e *egress) readHost() error {
	h, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer h.Close()
	addrs, err := h.AddrList(nil, unix.AF_INET)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if ip, ok := netip.AddrFromSlice(a.IP.To4()); ok {
			e.self = append(e.self, ip)
		}
	}
	routes, err := h.RouteList(nil, unix.AF_INET)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Gw != nil || r.Via != nil || len(r.MultiPath) > 0 || r.Dst == nil {
			continue
		}
		ip, ok := netip.AddrFromSlice(r.Dst.IP.To4())
		bits, _ := r.Dst.Mask.Size()
		if ok && bits >= 8 { // a shorter one is a default route in disguise
			e.onLink = append(e.onLink, netip.PrefixFrom(ip, bits))
		}
	}
	return nil
}

// add takes a URL, a host or host:port.
func (h *hosts) add(m string) {
	if !strings.Contains(m, "//") {
		m = "//" + m
	}
	u, err := url.Parse(m)
	if err != nil || u.Hostname() == "" {
		return
	}
	ports := []uint16{80, 443}
	if p, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		ports = append(ports, uint16(p))
	}
	if a, err := netip.ParseAddr(u.Hostname()); err == nil {
		h.open(a, ports)
		return
	}
	name := dns.CanonicalName(u.Hostname())
	if h.names == nil {
		h.names = map[string][]uint16{}
	}
	h.names[name] = append(h.names[name], ports...)
}

func (h *hosts) open(a netip.Addr, ports []uint16) {
	if h.addrs == nil {
		h.addrs = map[netip.Addr][]uint16{}
	}
	for _, p := range ports {
		if !slices.Contains(h.addrs[a], p) {
			h.addrs[a] = append(h.addrs[a], p)
		}
	}
}

func (h *hosts) has(to netip.AddrPort) bool {
	return slices.Contains(h.addrs[to.Addr().Unmap()], to.Port())
}

// learn remembers the addresses of a host, as the host's name servers gave them.
func (e *egress) learn(name string, ips []netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, h := range []*hosts{&e.mirrors, &e.forBuilds} {
		for _, ip := range ips {
			h.open(ip, h.names[dns.CanonicalName(name)])
		}
	}
}

// refuse gives the reason why a connection may not leave, "" if it may. Builds
// come from the router; all others have addresses of their own.
func (e *egress) refuse(from netip.Addr, to netip.AddrPort) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := to.Addr().Unmap()
	holds := func(p netip.Prefix) bool { return p.Contains(a) }
	switch {
	case !a.Is4():
		return "not an IPv4 address"
	case slices.Contains(e.self, a):
		return "an address of the host"
	case slices.ContainsFunc(never, holds):
		return "not an address of the internet"
	case e.isMirror(to, from.Unmap() == routerUp):
		return ""
	case slices.ContainsFunc(private, holds):
		return "a private address"
	case slices.ContainsFunc(e.onLink, holds):
		return "a neighbour of the host"
	}
	return ""
}

func (e *egress) isMirror(to netip.AddrPort, build bool) bool {
	return e.mirrors.has(to) || build && e.forBuilds.has(to)
}

// names says whether a URL is one of a mirror that is known by its name.
func (e *egress) names(u *url.URL) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	port := uint64(80)
	if u.Port() != "" {
		port, _ = strconv.ParseUint(u.Port(), 10, 16) // 0 is nobody's
	}
	return u.Scheme == "http" && slices.Contains(e.mirrors.names[dns.CanonicalName(u.Hostname())], uint16(port))
}

// hostMirrors gives the URLs of the mirrors that this host's packages come from,
// which are those in the images that are made here: from apt's configuration in
// dir, and the one that the user has named, or Debian's own.
func hostMirrors(dir string, getenv func(string) string) []string {
	found := aptURLs(dir, "sources.list", "sources.list.d/*.list", "sources.list.d/*.sources")
	if m := getenv("ROAD_DEBIAN_MIRROR"); m != "" {
		found = append(found, m)
	}
	if len(found) == 0 {
		found = []string{"http://deb.debian.org"}
	}
	return found
}

// hostProxies gives what else this host gets packages and modules through.
func hostProxies(dir string, getenv func(string) string) []string {
	found := aptURLs(dir, "apt.conf", "apt.conf.d/*")
	for _, name := range []string{"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "GOPROXY"} {
		for part := range strings.FieldsFuncSeq(getenv(name), func(r rune) bool { return r == ',' || r == '|' }) {
			if host, _, err := net.SplitHostPort(part); err == nil && host != "" || strings.Contains(part, "//") {
				found = append(found, part)
			}
		}
	}
	return found
}

// aptURL finds the addresses of mirrors and proxies in apt's configuration.
var aptURL = regexp.MustCompile(`https?://[^\s"';/]+`)

// aptURLs finds them in the files of a directory.
func aptURLs(dir string, patterns ...string) []string {
	var found []string
	for _, pattern := range patterns {
		names, _ := filepath.Glob(filepath.Join(dir, pattern)) // the patterns are right
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(b)) {
				if t := strings.TrimSpace(line); !strings.HasPrefix(t, "#") && !strings.HasPrefix(t, "//") {
					found = append(found, aptURL.FindAllString(t, -1)...)
				}
			}
		}
	}
	return found
}
