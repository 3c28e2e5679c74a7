package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"road/internal/sandbox/oci/world"

	"github.com/miekg/dns"
)

// dnsPatience is how long one name server may take to answer.
const dnsPatience = 3 * time.Second

// searchDomains are those of a pod, in order, as the kubelet has them.
func searchDomains(namespace string) []string {
	return []string{namespace + ".svc.cluster.local", "svc.cluster.local", "cluster.local"}
}

func joinDomains(namespace string) string { return strings.Join(searchDomains(namespace), " ") }

// candidates are the full names that a pod tries for a name, in order: with
// ndots:5, a name with fewer dots goes along the search list first.
func candidates(name, namespace string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var found []string
	for _, d := range searchDomains(namespace) {
		found = append(found, name+"."+d+".")
	}
	if strings.Count(name, ".") >= 5 {
		return append([]string{name + "."}, found...)
	}
	return append(found, name+".")
}

// resolve gives the addresses of a name as the endpoint sees it.
func (e *Endpoint) resolve(ctx context.Context, name string) ([]netip.Addr, error) {
	if name == "" || name == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	}
	if a, err := netip.ParseAddr(name); err == nil {
		return []netip.Addr{a}, nil
	}
	if e.outside { // has no part in the cluster's names
		return e.net.world.HostResolver().LookupNetIP(ctx, "ip4", name)
	}
	for _, full := range candidates(name, e.Namespace) {
		m, err := e.ask(ctx, full)
		if err != nil {
			return nil, &net.DNSError{Err: err.Error(), Name: name, Server: dnsServer.String(), IsTemporary: true}
		}
		if ips := addresses(m); len(ips) > 0 {
			return ips, nil
		}
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, Server: dnsServer.String(), IsNotFound: true}
}

// tries is how often a question is asked that gets no answer, as resolvers do: a
// datagram may be lost where rules are replaced or a queue is full.
const tries = 3

// ask asks cluster DNS from the endpoint.
func (e *Endpoint) ask(ctx context.Context, name string) (m *dns.Msg, err error) {
	for range tries {
		limit, cancel := context.WithTimeout(ctx, dnsPatience/tries)
		m, err = e.askOnce(limit, name)
		cancel()
		if err == nil || ctx.Err() != nil {
			break
		}
	}
	return m, err
}

func (e *Endpoint) askOnce(ctx context.Context, name string) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, dns.TypeA)
	q.SetEdns0(1232, false)
	return exchangeContext(ctx, q, func(ctx context.Context, network string) (net.Conn, error) {
		return world.DialNS(ctx, e.FD, network, netip.AddrPortFrom(dnsServer, 53).String())
	})
}

// addresses are those in the answers of m, aliases followed by whoever answered.
func addresses(m *dns.Msg) []netip.Addr {
	var ips []netip.Addr
	for _, rr := range m.Answer {
		if a, ok := rr.(*dns.A); ok {
			if ip, ok := netip.AddrFromSlice(a.A.To4()); ok {
				ips = append(ips, ip)
			}
		}
	}
	return ips
}

// forward asks the host's name servers, from the host's network.
func (n *Network) forward(r *dns.Msg) (*dns.Msg, error) {
	err := errors.New("the host has no name server")
	for _, server := range n.world.Nameservers {
		var m *dns.Msg
		m, err = exchange(r, func(ctx context.Context, network string) (net.Conn, error) {
			return world.DialNS(ctx, n.world.HostNet, network, net.JoinHostPort(server, "53"))
		})
		if err == nil {
			n.egress.learn(r.Question[0].Name, addresses(m))
			return m, nil
		}
	}
	return nil, err
}

// dialer connects to one name server by "udp" or "tcp".
type dialer func(ctx context.Context, network string) (net.Conn, error)

func exchange(r *dns.Msg, dial dialer) (*dns.Msg, error) {
	return exchangeContext(context.Background(), r, dial)
}

// exchangeContext asks by UDP, and again by TCP where the answer was cut.
func exchangeContext(ctx context.Context, r *dns.Msg, dial dialer) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsPatience)
	defer cancel()
	var m *dns.Msg
	for _, network := range []string{"udp", "tcp"} {
		c, err := dial(ctx, network)
		if err != nil {
			return nil, err
		}
		client := &dns.Client{Net: network, Timeout: dnsPatience, UDPSize: dns.MaxMsgSize}
		m, _, err = client.ExchangeWithConnContext(ctx, r, &dns.Conn{Conn: c, UDPSize: dns.MaxMsgSize})
		c.Close()
		if err != nil {
			return nil, fmt.Errorf("ask %s: %w", c.RemoteAddr(), err)
		}
		if !m.Truncated {
			break
		}
	}
	return m, nil
}
