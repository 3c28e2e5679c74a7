package standin

import (
	"errors"
	"net"

	"github.com/miekg/dns"
)

// NameServer serves the attacker's name server for a zone, on both of its
// sockets. Each name it is asked for is what somebody wanted to tell it.
func NameServer(pc net.PacketConn, l net.Listener, zone string, addr net.IP) *Server {
	s := &Server{}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg)
		m.SetReply(r)
		m.Authoritative = true
		for _, q := range r.Question {
			s.add(w.RemoteAddr().String(), dns.TypeToString[q.Qtype]+" "+q.Name)
			if !dns.IsSubDomain(zone, q.Name) {
				m.Rcode = dns.RcodeRefused
				break
			}
			if q.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: addr})
			}
		}
		w.WriteMsg(m)
	})
	udp := &dns.Server{PacketConn: pc, Handler: handler}
	tcp := &dns.Server{Listener: l, Handler: handler}
	go udp.ActivateAndServe()
	go tcp.ActivateAndServe()
	s.close = func() error { return errors.Join(pc.Close(), l.Close()) }
	return s
}
