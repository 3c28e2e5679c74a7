package network

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// lookup gives the records of a name of the cluster's, in lower case, by the
// rules of Kubernetes' DNS specification, and whether there is such a name: one
// without records of the kind that is asked for is no error. The Services are
// those of the group that asks, and those of none.
func (n *Network) lookup(name, group string) (records []dns.RR, known bool) {
	labels := dns.SplitDomainName(name)
	zone := dns.CountLabel(clusterDomain)
	if !dns.IsSubDomain(clusterDomain, name) {
		return nil, false // a reverse name: nobody has one
	}
	labels = labels[:len(labels)-zone]
	switch k := len(labels); {
	case k == 0, k == 1 && (labels[0] == "svc" || labels[0] == "pod"):
		return nil, true
	case labels[k-1] == "pod":
		return podRecord(labels[:k-1])
	case labels[k-1] != "svc" || k > 5:
		return nil, false
	default:
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.lookupService(labels[:k-1], group)
	}
}

// podRecord answers for 10-244-0-7.namespace.pod.
func podRecord(labels []string) ([]dns.RR, bool) {
	if len(labels) != 2 {
		return nil, len(labels) == 1
	}
	a, err := netip.ParseAddr(strings.ReplaceAll(labels[0], "-", "."))
	if err != nil || !a.Is4() {
		return nil, false
	}
	return []dns.RR{addressRecord(a)}, true
}

// lookupService answers for what stands before .svc: namespace, then service,
// then either a pod's host name or a protocol and a port's name.
func (n *Network) lookupService(labels []string, group string) ([]dns.RR, bool) {
	k := len(labels)
	if k == 1 {
		return nil, n.hasNamespace(labels[0], group)
	}
	s := n.services[serviceKey{group, labels[k-1], labels[k-2]}]
	if s == nil || s.removed {
		s = n.services[serviceKey{"", labels[k-1], labels[k-2]}]
	}
	if s == nil || s.removed {
		return nil, false
	}
	switch k {
	case 2:
		return s.records(), true
	case 3:
		return s.podRecords(labels[0])
	case 4:
		return s.portRecords(labels[0], labels[1], labels[3], labels[2])
	}
	return nil, false
}

func (n *Network) hasNamespace(ns, group string) bool {
	for k, s := range n.services {
		if k.namespace == ns && (k.group == "" || k.group == group) && !s.removed {
			return true
		}
	}
	return false
}

// records are those of the Service's own name.
func (s *service) records() []dns.RR {
	if s.o.ExternalName != "" {
		return []dns.RR{&dns.CNAME{Hdr: header(dns.TypeCNAME), Target: dns.Fqdn(s.o.ExternalName)}}
	}
	if s.addr.IsValid() {
		return []dns.RR{addressRecord(s.addr)}
	}
	var rrs []dns.RR
	for _, b := range s.o.Backends {
		rrs = append(rrs, addressRecord(b.Addr))
	}
	return rrs
}

// podRecords are those of a pod's host name below a headless Service, as a
// StatefulSet gives them to its pods.
func (s *service) podRecords(hostname string) ([]dns.RR, bool) {
	if s.addr.IsValid() {
		return nil, false
	}
	var rrs []dns.RR
	for _, b := range s.o.Backends {
		if strings.EqualFold(b.name(), hostname) {
			rrs = append(rrs, addressRecord(b.Addr))
		}
	}
	return rrs, len(rrs) > 0
}

// name is the backend's label below a headless Service.
func (b Backend) name() string {
	if b.Hostname != "" {
		return b.Hostname
	}
	return strings.ReplaceAll(b.Addr.String(), ".", "-")
}

// portRecords tell where a named port is: _http._tcp.
func (s *service) portRecords(port, protocol, namespace, name string) ([]dns.RR, bool) {
	var rrs []dns.RR
	for _, p := range s.o.Ports {
		proto := p.Protocol
		if proto == "" {
			proto = "TCP"
		}
		if p.Name == "" || !strings.EqualFold("_"+p.Name, port) || !strings.EqualFold("_"+proto, protocol) {
			continue
		}
		domain := fmt.Sprintf("%s.%s.svc.%s", name, namespace, clusterDomain)
		if s.addr.IsValid() {
			rrs = append(rrs, serverRecord(domain, p.Port))
			continue
		}
		for _, b := range s.o.Backends {
			if n := b.port(p); n != 0 {
				rrs = append(rrs, serverRecord(b.name()+"."+domain, n))
			}
		}
	}
	return rrs, len(rrs) > 0
}

func header(t uint16) dns.RR_Header {
	return dns.RR_Header{Rrtype: t, Class: dns.ClassINET, Ttl: ttl}
}

func addressRecord(a netip.Addr) dns.RR {
	return &dns.A{Hdr: header(dns.TypeA), A: a.AsSlice()}
}

func serverRecord(target string, port uint16) dns.RR {
	return &dns.SRV{Hdr: header(dns.TypeSRV), Target: target, Port: port, Weight: 100}
}
