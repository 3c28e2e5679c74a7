package network

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"road/internal/sandbox/oci/world"

	"github.com/miekg/dns"
)

// clusterDomain is the zone of the cluster's own names.
const clusterDomain = "cluster.local."

// ttl of cluster names, in seconds, as CoreDNS has it by default.
const ttl = 30

// A Query is a question that the cluster's name server was asked.
type Query struct {
	Time  time.Time
	From  netip.Addr
	Name  string // with the dot at its end
	Type  string // "A"
	Rcode string // of the answer: "NOERROR"
	Addrs []netip.Addr
}

// How many questions the name server remembers, and how many addresses of names:
// more than an application has, and what one that asks without end may fill.
const (
	queriesKept = 4096
	namesKept   = 1 << 16
)

// A nameServer answers for the cluster's names, and hands all others on.
type nameServer struct {
	net  *Network
	end  *Endpoint
	port uint16

	mu      sync.Mutex
	servers []*dns.Server
	seen    []Query // a ring, once it is full
	next    int
	zones   map[string]netip.AddrPort
	hosts   map[string]netip.Addr
	names   map[netip.Addr]string // see Names
}

func newNameServer(n *Network) *nameServer {
	return &nameServer{net: n, zones: map[string]netip.AddrPort{}, hosts: map[string]netip.Addr{}, names: map[netip.Addr]string{}}
}

// listen serves in an endpoint.
func (d *nameServer) listen(e *Endpoint, port uint16) error {
	d.end, d.port = e, port
	ctx, addr := context.Background(), netip.AddrPortFrom(e.IP, port).String()
	pc, err := e.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return err
	}
	d.serve(&dns.Server{PacketConn: pc})
	l, err := e.Listen(ctx, "tcp", addr)
	if err != nil {
		return errors.Join(err, pc.Close())
	}
	d.serve(&dns.Server{Listener: l})
	return nil
}

// serve answers on one more socket until Close.
func (d *nameServer) serve(s *dns.Server) {
	s.Handler = dns.HandlerFunc(d.handle)
	d.mu.Lock()
	d.servers = append(d.servers, s)
	d.mu.Unlock()
	go s.ActivateAndServe()
}

// Close ends all servers.
func (d *nameServer) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.servers {
		if s.PacketConn != nil {
			s.PacketConn.Close()
		}
		if s.Listener != nil {
			s.Listener.Close()
		}
	}
	return nil
}

// handle answers one question.
func (d *nameServer) handle(w dns.ResponseWriter, r *dns.Msg) {
	if len(r.Question) != 1 || r.Opcode != dns.OpcodeQuery {
		m := new(dns.Msg)
		w.WriteMsg(m.SetRcode(r, dns.RcodeNotImplemented))
		return
	}
	from, _ := netip.ParseAddrPort(w.RemoteAddr().String())
	m := d.answer(r, d.net.groupOf(from.Addr().Unmap()))
	d.remember(w.RemoteAddr(), r.Question[0], m)
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		size := dns.MinMsgSize
		if o := r.IsEdns0(); o != nil {
			size = max(size, int(o.UDPSize()))
		}
		m.Truncate(size)
	}
	w.WriteMsg(m)
}

// answer finds who knows a name: SetHost, the cluster of the group that asks, a
// server that a zone was given to, or the host's.
func (d *nameServer) answer(r *dns.Msg, group string) *dns.Msg {
	name := strings.ToLower(r.Question[0].Name)
	if a, ok := d.host(name); ok {
		return reply(r, []dns.RR{addressRecord(a)})
	}
	if dns.IsSubDomain(clusterDomain, name) || ours(name) {
		return d.local(r, name, group)
	}
	var m *dns.Msg
	var err error
	if server, ok := d.zone(name); ok {
		m, err = exchange(r, func(ctx context.Context, network string) (net.Conn, error) {
			return world.DialNS(ctx, d.end.FD, network, server.String())
		})
	} else {
		m, err = d.net.forward(r)
	}
	if err != nil {
		m = new(dns.Msg)
		m.SetRcode(r, dns.RcodeServerFailure)
	}
	return m
}

// ours says whether a reverse name is of an address of ours.
func ours(name string) bool {
	for _, suffix := range []string{"244.10.in-addr.arpa.", "96.10.in-addr.arpa."} {
		if dns.IsSubDomain(suffix, name) {
			return true
		}
	}
	return false
}

// local answers for a name of the cluster's.
func (d *nameServer) local(r *dns.Msg, name, group string) *dns.Msg {
	records, known := d.net.lookup(name, group)
	m := reply(r, records)
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	return m
}

// reply answers with those of the records that were asked for.
func reply(r *dns.Msg, records []dns.RR) *dns.Msg {
	m := new(dns.Msg)
	m.SetReply(r)
	m.Authoritative, m.RecursionAvailable = true, true
	for _, rr := range records {
		h := rr.Header()
		if h.Rrtype == r.Question[0].Qtype || h.Rrtype == dns.TypeCNAME {
			h.Name = r.Question[0].Name // as it was asked, in the same case
			m.Answer = append(m.Answer, rr)
		}
	}
	return m
}

func (d *nameServer) remember(from net.Addr, q dns.Question, answer *dns.Msg) {
	a, _ := netip.ParseAddrPort(from.String())
	entry := Query{time.Now(), a.Addr().Unmap(), q.Name, dns.TypeToString[q.Qtype], dns.RcodeToString[answer.Rcode], addresses(answer)}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range entry.Addrs {
		if _, known := d.names[a]; known || len(d.names) < namesKept {
			d.names[a] = strings.TrimSuffix(q.Name, ".")
		}
	}
	if len(d.seen) < queriesKept {
		d.seen = append(d.seen, entry)
		return
	}
	d.seen[d.next] = entry
	d.next = (d.next + 1) % queriesKept
}

// Queries gives the last questions that cluster DNS was asked, oldest first.
func (n *Network) Queries() []Query {
	n.dns.mu.Lock()
	defer n.dns.mu.Unlock()
	return append(append([]Query(nil), n.dns.seen[n.dns.next:]...), n.dns.seen[:n.dns.next]...)
}

// Names gives the name by which each address was asked for last, of all that
// cluster DNS ever answered.
func (n *Network) Names() map[netip.Addr]string {
	n.dns.mu.Lock()
	defer n.dns.mu.Unlock()
	return maps.Clone(n.dns.names)
}

// DNSAddr is where cluster DNS's pod answers, behind its Service.
func (n *Network) DNSAddr() netip.AddrPort { return netip.AddrPortFrom(n.dns.end.IP, n.dns.port) }

// DelegateZone has the questions about a zone asked of a server on the network,
// as the public DNS would send them to whoever owns the zone.
func (n *Network) DelegateZone(zone string, server netip.AddrPort) {
	n.dns.mu.Lock()
	defer n.dns.mu.Unlock()
	n.dns.zones[dns.CanonicalName(zone)] = server
}

// SetHost gives an address a name, which all pods find as it is written.
func (n *Network) SetHost(name string, a netip.Addr) {
	n.dns.mu.Lock()
	defer n.dns.mu.Unlock()
	n.dns.hosts[dns.CanonicalName(name)] = a
}

func (d *nameServer) host(name string) (netip.Addr, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a, ok := d.hosts[name]
	return a, ok
}

// zone finds the server of the zone that a name lies in.
func (d *nameServer) zone(name string) (netip.AddrPort, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for z, server := range d.zones {
		if dns.IsSubDomain(z, name) {
			return server, true
		}
	}
	return netip.AddrPort{}, false
}
