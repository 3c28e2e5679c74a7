package network

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// enforced is what the policies of a group are in the kernel: a chain per
// isolated pod and direction, and the elements that lead to them.
type enforced struct {
	chains   []*nftables.Chain
	elements map[*nftables.Set][]nftables.SetElement
}

// enforce swaps what stands in the kernel for a group for what its policies and
// the attached endpoints come to now, in one batch.
func (n *Network) enforce(name string, g *policyGroup) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	for set, elements := range g.elements {
		if err := c.SetDeleteElements(set, elements); err != nil {
			return err
		}
	}
	fresh := enforced{elements: map[*nftables.Set][]nftables.SetElement{}}
	pods := n.within(name)
	for _, e := range pods {
		if e.Group != name {
			continue
		}
		if err := n.fw.isolate(c, &fresh, n.fw.isolatedOut, e, g.compile(e, pods, false)); err != nil {
			return err
		}
		if err := n.fw.isolate(c, &fresh, n.fw.isolatedIn, e, g.compile(e, pods, true)); err != nil {
			return err
		}
	}
	for _, ch := range g.chains {
		c.FlushChain(ch)
		c.DelChain(ch)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: network policies: %w", err)
	}
	g.enforced = fresh
	return nil
}

// isolate adds the chain of one pod and direction: what matches returns, the
// rest is dropped. allowed is nil for a pod that no policy selects.
func (f *firewall) isolate(c *nftables.Conn, into *enforced, set *nftables.Set, e *Endpoint, allowed []match) error {
	if allowed == nil {
		return nil
	}
	f.chains++
	ch := c.AddChain(&nftables.Chain{Table: f.table, Name: fmt.Sprint("pod-", f.chains)})
	offset := uint32(ipSource)
	if set == f.isolatedOut {
		offset = ipDest
	}
	for _, m := range allowed {
		exprs, err := m.exprs(c, f.table, offset)
		if err != nil {
			return err
		}
		c.AddRule(&nftables.Rule{Table: f.table, Chain: ch, Exprs: append(exprs, &expr.Verdict{Kind: expr.VerdictReturn})})
	}
	c.AddRule(&nftables.Rule{Table: f.table, Chain: ch, Exprs: []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}})
	element := nftables.SetElement{Key: e.IP.AsSlice(), VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: ch.Name}}
	if err := c.SetAddElements(set, []nftables.SetElement{element}); err != nil {
		return err
	}
	into.chains = append(into.chains, ch)
	into.elements[set] = append(into.elements[set], element)
	return nil
}

// A match is what one rule lets through: the far end's address and the port on
// the end that is called.
type match struct {
	addrs    []netip.Addr // one of them
	block    netip.Prefix // or in this block; both zero: any address
	except   []netip.Prefix
	protocol byte // 0 is any, with any port
	low      uint16
	high     uint16 // 0: any port
}

// compile gives what may reach a pod (ingress) or be reached from it; nil where
// no policy isolates it, empty where nothing may.
func (g *policyGroup) compile(e *Endpoint, pods []*Endpoint, ingress bool) []match {
	var out []match
	for _, p := range g.policies {
		d := p.egress
		if ingress {
			d = p.ingress
		}
		if d == nil || p.namespace != e.Namespace || !p.selects(e) {
			continue
		}
		if out == nil {
			out = []match{}
		}
		for _, r := range d.rules {
			for _, far := range g.farEnds(p, r, pods) {
				out = append(out, r.withPorts(far, e, pods, ingress)...)
			}
		}
	}
	return out
}

// farEnds gives the addresses that a rule's peers stand for now.
func (g *policyGroup) farEnds(p *policy, r policyRule, pods []*Endpoint) []match {
	if len(r.peers) == 0 {
		return []match{{}}
	}
	var out []match
	var addrs []netip.Addr
	for _, c := range r.peers {
		if c.block.IsValid() {
			if c.block.Addr().Is4() { // there is no IPv6 here
				out = append(out, match{block: c.block, except: c.except})
			}
			continue
		}
		for _, e := range pods {
			if g.matches(c, p.namespace, e) {
				addrs = append(addrs, e.IP)
			}
		}
	}
	if len(addrs) > 0 {
		out = append(out, match{addrs: addrs})
	}
	return out
}

// withPorts narrows a match to each of the rule's ports. A port's name means the
// called pod's port of that name: for ingress that of the selected pod, for
// egress that of each pod at the far end.
func (r policyRule) withPorts(far match, e *Endpoint, pods []*Endpoint, ingress bool) []match {
	if len(r.ports) == 0 {
		return []match{far}
	}
	var out []match
	for _, p := range r.ports {
		m := far
		m.protocol, _ = protocolNumber(p) // was checked when the policy was set
		switch {
		case p.Port == nil:
			out = append(out, m)
		case p.Port.Type == intstr.Int:
			m.low, m.high = uint16(p.Port.IntVal), uint16(p.Port.IntVal)
			if p.EndPort != nil {
				m.high = uint16(*p.EndPort)
			}
			out = append(out, m)
		case ingress:
			for _, n := range e.named(p.Port.StrVal, m.protocol) {
				m.low, m.high = n, n
				out = append(out, m)
			}
		default:
			for _, called := range pods {
				if !far.holds(called.IP) {
					continue
				}
				for _, n := range called.named(p.Port.StrVal, m.protocol) {
					out = append(out, match{addrs: []netip.Addr{called.IP}, protocol: m.protocol, low: n, high: n})
				}
			}
		}
	}
	return out
}

// holds says whether an address is one that the match is about.
func (m match) holds(a netip.Addr) bool {
	switch {
	case m.block.IsValid():
		for _, x := range m.except {
			if x.Contains(a) {
				return false
			}
		}
		return m.block.Contains(a)
	case m.addrs != nil:
		for _, b := range m.addrs {
			if a == b {
				return true
			}
		}
		return false
	}
	return true
}

// exprs gives the match in the kernel's terms. offset is that of the far end's
// address in the header.
func (m match) exprs(c *nftables.Conn, t *nftables.Table, offset uint32) ([]expr.Any, error) {
	var e []expr.Any
	if m.addrs != nil {
		set := &nftables.Set{Table: t, Anonymous: true, Constant: true, KeyType: nftables.TypeIPAddr}
		seen := map[netip.Addr]bool{}
		var elements []nftables.SetElement
		for _, a := range m.addrs {
			if !seen[a] {
				seen[a] = true
				elements = append(elements, nftables.SetElement{Key: a.AsSlice()})
			}
		}
		if err := c.AddSet(set, elements); err != nil {
			return nil, err
		}
		e = append(e, load(offset, reg0), &expr.Lookup{SourceRegister: reg0, SetName: set.Name, SetID: set.ID})
	}
	if m.block.IsValid() {
		e = append(e, within(offset, m.block)...)
		for _, x := range m.except {
			e = append(e, load(offset, reg0),
				&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: net.CIDRMask(x.Bits(), 32), Xor: make([]byte, 4)},
				&expr.Cmp{Op: expr.CmpOpNeq, Register: reg0, Data: x.Masked().Addr().AsSlice()})
		}
	}
	if m.protocol != 0 {
		e = append(e, isProtocol(m.protocol)...)
	}
	if m.high != 0 {
		e = append(e, &expr.Payload{DestRegister: reg0, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpGte, Register: reg0, Data: binary.BigEndian.AppendUint16(nil, m.low)},
			&expr.Cmp{Op: expr.CmpOpLte, Register: reg0, Data: binary.BigEndian.AppendUint16(nil, m.high)})
	}
	return e, nil
}

// protocolNumber gives the protocol of a port, TCP where none is said.
func protocolNumber(p networkingv1.NetworkPolicyPort) (byte, error) {
	if p.Protocol == nil {
		return unix.IPPROTO_TCP, nil
	}
	switch *p.Protocol {
	case corev1.ProtocolTCP, "":
		return unix.IPPROTO_TCP, nil
	case corev1.ProtocolUDP:
		return unix.IPPROTO_UDP, nil
	case corev1.ProtocolSCTP:
		return unix.IPPROTO_SCTP, nil
	}
	return 0, fmt.Errorf("there is no protocol %q", *p.Protocol)
}
