package network

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func TestEgress(t *testing.T) {
	e := &egress{
		self:   []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("203.0.113.7")},
		onLink: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")},
	}
	e.mirrors.add("http://mirror.corp.example:8081/debian")
	e.mirrors.add("10.9.9.9:3142")
	e.forBuilds.add("http://proxy.corp.example:3128")
	e.forBuilds.add("10.8.8.8:3128")
	e.learn("proxy.corp.example.", []netip.Addr{netip.MustParseAddr("10.7.7.7")})
	e.learn("mirror.corp.example.", []netip.Addr{netip.MustParseAddr("10.1.2.3"), netip.MustParseAddr("203.0.113.7")})
	e.learn("intranet.corp.example.", []netip.Addr{netip.MustParseAddr("10.1.2.4")})
	for to, allowed := range map[string]bool{
		"151.101.2.132:80":     true,
		"151.101.2.132:22":     true,
		"203.0.114.1:443":      true,
		"127.0.0.1:80":         false,
		"127.9.9.9:80":         false,
		"0.0.0.0:80":           false,
		"203.0.113.7:80":       false, // the host, even if a mirror's name leads here
		"203.0.113.8:80":       false, // its neighbour
		"169.254.169.254:80":   false,
		"100.100.100.200:80":   false,
		"168.63.129.16:80":     false,
		"224.0.0.1:80":         false,
		"255.255.255.255:80":   false,
		"10.0.0.1:443":         false,
		"172.16.0.1:443":       false,
		"172.32.0.1:443":       true,
		"192.168.1.1:80":       false,
		"100.64.0.1:80":        false,
		"10.1.2.3:80":          true, // the mirror
		"10.1.2.3:443":         true,
		"10.1.2.3:8081":        true,
		"10.1.2.3:22":          false,
		"10.1.2.4:80":          false, // resolved, but no mirror
		"10.9.9.9:3142":        true,
		"10.9.9.9:22":          false,
		"[2001:db8::1]:80":     false,
		"[::ffff:127.0.0.1]:1": false,
	} {
		for _, from := range []string{"10.244.0.9", "192.0.0.1"} {
			if why := e.refuse(netip.MustParseAddr(from), netip.MustParseAddrPort(to)); (why == "") != allowed {
				t.Errorf("%s to %s: %q, want allowed: %v", from, to, why, allowed)
			}
		}
	}
	for _, proxy := range []string{"10.7.7.7:3128", "10.8.8.8:3128", "10.8.8.8:80"} {
		for from, allowed := range map[string]bool{"192.0.0.1": true, "10.244.0.9": false, "198.18.0.2": false} {
			if why := e.refuse(netip.MustParseAddr(from), netip.MustParseAddrPort(proxy)); (why == "") != allowed {
				t.Errorf("%s to the proxy %s: %q, want allowed: %v", from, proxy, why, allowed)
			}
		}
	}
}

func TestHostMirrors(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sources.list":             "deb [arch=amd64] http://a.example/debian trixie main\n# deb http://commented.example/ x\n",
		"sources.list.d/b.list":    "deb https://b.example:8443/x y z\n",
		"sources.list.d/c.sources": "Types: deb\nURIs: http://c.example/debian http://d.example/debian\n",
		"apt.conf.d/proxy":         "Acquire::http::Proxy \"http://10.0.0.5:3142\";\n// Acquire::http::Proxy \"http://no.example\";\n",
		"apt.conf.d/pager":         "Binary::apt::Pager \"false\";\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"https_proxy": "http://p.example:3128", "GOPROXY": "https://g.example|direct,off", "ROAD_DEBIAN_MIRROR": "http://m.example:81/debian"}
	for _, c := range []struct {
		find func(string, func(string) string) []string
		want []string
	}{
		{hostMirrors, []string{"http://a.example", "http://c.example", "http://d.example", "http://m.example:81/debian", "https://b.example:8443"}},
		{hostProxies, []string{"http://10.0.0.5:3142", "http://p.example:3128", "https://g.example"}},
	} {
		got := c.find(dir, func(k string) string { return env[k] })
		slices.Sort(got)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Error(d)
		}
	}
}

func TestCandidates(t *testing.T) {
	for name, want := range map[string]string{
		"redis":          "redis.app.svc.cluster.local. redis.svc.cluster.local. redis.cluster.local. redis.",
		"redis.":         "redis.",
		"a.b.c.d.e.f":    "a.b.c.d.e.f. a.b.c.d.e.f.app.svc.cluster.local. a.b.c.d.e.f.svc.cluster.local. a.b.c.d.e.f.cluster.local.",
		"deb.debian.org": "deb.debian.org.app.svc.cluster.local. deb.debian.org.svc.cluster.local. deb.debian.org.cluster.local. deb.debian.org.",
	} {
		if got := strings.Join(candidates(name, "app"), " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if got, want := ResolvConf("app"), "search app.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n"; got != want {
		t.Errorf("resolv.conf: %q, want %q", got, want)
	}
}

// A pool uses what was given back last, and ends when all is used.
func TestPool(t *testing.T) {
	p := newPool(netip.MustParsePrefix("192.0.2.0/29"), netip.MustParseAddr("192.0.2.2"))
	var got []string
	take := func() {
		a, err := p.take()
		if err != nil {
			got = append(got, "none")
			return
		}
		got = append(got, a.String())
	}
	take()
	p.give(netip.MustParseAddr("192.0.2.1"))
	for range 6 {
		take()
	}
	want := []string{"192.0.2.1", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "192.0.2.1", "none"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What an address is called is known however many questions were asked since.
func TestNamesStay(t *testing.T) {
	n := &Network{}
	n.dns = newNameServer(n)
	from := &net.UDPAddr{IP: net.IPv4(10, 244, 0, 9)}
	ask := func(name, addr string) {
		m := new(dns.Msg)
		m.Answer = []dns.RR{&dns.A{A: net.ParseIP(addr)}}
		n.dns.remember(from, dns.Question{Name: name, Qtype: dns.TypeA}, m)
	}
	ask("api.example.com.", "198.51.100.7")
	for range queriesKept + 1 {
		ask("redis.shop.svc.cluster.local.", "10.96.0.11")
	}
	if got := n.Names()[netip.MustParseAddr("198.51.100.7")]; got != "api.example.com" {
		t.Errorf("the address is called %q", got)
	}
	ask("www.example.com.", "198.51.100.7")
	if got := n.Names()[netip.MustParseAddr("198.51.100.7")]; got != "www.example.com" {
		t.Errorf("the address was asked for last as %q", got)
	}
	if len(n.Queries()) != queriesKept {
		t.Errorf("%d questions are kept", len(n.Queries()))
	}
}

// An endpoint that cannot be made leaves its address to others.
func TestAttachGivesBack(t *testing.T) {
	n := &Network{pods: newPool(podRange, node)}
	before := len(n.pods.used)
	if e, err := n.Attach(AttachOptions{Name: "a", NetNS: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Fatalf("attached %s to a namespace that is not there", e.IP)
	}
	if now := len(n.pods.used); now != before {
		t.Errorf("%d addresses are taken, not %d", now, before)
	}
}

func TestServiceOptionsAreChecked(t *testing.T) {
	addr := netip.MustParseAddr("10.96.0.7")
	for _, ports := range [][]ServicePort{
		{{Port: 80, Protocol: "SCTP"}},
		{{Port: 80}, {Port: 80, Protocol: "TCP"}},
	} {
		if ts, err := (ServiceOptions{Ports: ports}).targets(addr); err == nil {
			t.Errorf("%v: %v", ports, ts)
		}
	}
	b := Backend{Targets: map[string]uint16{"web": 8081}}
	for _, test := range []struct {
		p    ServicePort
		want uint16
	}{{ServicePort{Name: "web", Port: 80, Target: 8080}, 8081}, {ServicePort{Name: "x", Port: 80, Target: 8080}, 8080}, {ServicePort{Port: 80}, 80}} {
		if got := b.port(test.p); got != test.want {
			t.Errorf("%v: port %d, want %d", test.p, got, test.want)
		}
	}
}
