package network

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Names of links that rules match.
const (
	uplinkLink  = "up0"
	outsideLink = "o" // and a number
)

// A firewall is the router's nftables table:
//
//	prerouting, output (nat)   rewrite a Service's address to one of a backend
//	postrouting (nat)          give a pod that called itself the router's address
//	forward (filter)           keep the outside out; note who calls whom; jump
//	                           policy; refuse Services that nobody rewrote, and
//	                           addresses nobody has
//	output_filter              the same refusals for the node's own traffic, which
//	                           no policy holds
//	policy                     let through what is known and what a pod says to
//	                           itself; jump the chain of an isolated caller, then
//	                           that of an isolated called pod
//
// Every change is one atomic batch.
type firewall struct {
	table    *nftables.Table
	services *nftables.Set // address, protocol, port: goto a chain of its own
	hairpin  *nftables.Set // source and destination, for every endpoint
	policy   *nftables.Chain
	flows    *nftables.Set // source, destination, protocol, port of every new connection
	chains   int

	isolatedOut *nftables.Set // pod: jump a chain of its own
	isolatedIn  *nftables.Set
}

func newFirewall() (*firewall, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	f := &firewall{table: c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "road"})}
	f.services = &nftables.Set{Table: f.table, Name: "services", IsMap: true,
		KeyType:  nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
		DataType: nftables.TypeVerdict}
	f.hairpin = &nftables.Set{Table: f.table, Name: "hairpin",
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr)}
	f.isolatedOut = &nftables.Set{Table: f.table, Name: "isolated_out", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict}
	f.isolatedIn = &nftables.Set{Table: f.table, Name: "isolated_in", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict}
	f.flows = newFlowSet(f.table)
	for _, s := range []*nftables.Set{f.services, f.hairpin, f.isolatedOut, f.isolatedIn, f.flows} {
		if err := c.AddSet(s, nil); err != nil {
			return nil, fmt.Errorf("nftables: %w", err)
		}
	}
	f.addNAT(c)
	f.addFilter(c)
	if err := c.Flush(); err != nil {
		return nil, fmt.Errorf("nftables: %w", err)
	}
	return f, nil
}

// addNAT adds the chains that rewrite addresses.
func (f *firewall) addNAT(c *nftables.Conn) {
	base := func(name string, hook *nftables.ChainHook, prio *nftables.ChainPriority) *nftables.Chain {
		return c.AddChain(&nftables.Chain{Table: f.table, Name: name, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: prio})
	}
	dispatch := append(serviceKeyExprs(), lookupVerdict(f.services))
	for _, ch := range []*nftables.Chain{
		base("prerouting", nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest),
		base("output", nftables.ChainHookOutput, nftables.ChainPriorityNATDest), // the node's own
	} {
		c.AddRule(&nftables.Rule{Table: f.table, Chain: ch, Exprs: dispatch})
	}
	post := base("postrouting", nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	c.AddRule(&nftables.Rule{Table: f.table, Chain: post, Exprs: []expr.Any{
		load(ipSource, reg0), load(ipDest, reg1),
		&expr.Lookup{SourceRegister: reg0, SetName: f.hairpin.Name, SetID: f.hairpin.ID},
		&expr.Masq{},
	}})
}

// addFilter adds the chains that let through or refuse.
func (f *firewall) addFilter(c *nftables.Conn) {
	accept := nftables.ChainPolicyAccept
	f.policy = c.AddChain(&nftables.Chain{Table: f.table, Name: "policy"})
	f.addPolicy(c)
	for name, hook := range map[string]*nftables.ChainHook{"forward": nftables.ChainHookForward, "output_filter": nftables.ChainHookOutput} {
		ch := c.AddChain(&nftables.Chain{Table: f.table, Name: name, Type: nftables.ChainTypeFilter, Hooknum: hook,
			Priority: nftables.ChainPriorityFilter, Policy: &accept})
		rule := func(e ...expr.Any) { c.AddRule(&nftables.Rule{Table: f.table, Chain: ch, Exprs: e}) }
		if name == "forward" {
			for _, p := range []netip.Prefix{podRange, serviceRange} {
				e := append(fromOutside(), within(ipDest, p)...)
				rule(append(append(e, stateNew()...), &expr.Verdict{Kind: expr.VerdictDrop})...)
			}
			for _, p := range []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP} {
				rule(noteFlow(f.flows, p)...)
			}
			rule(&expr.Verdict{Kind: expr.VerdictJump, Chain: f.policy.Name})
		}
		tcp := append(within(ipDest, serviceRange), isProtocol(unix.IPPROTO_TCP)...)
		rule(append(tcp, &expr.Reject{Type: unix.NFT_REJECT_TCP_RST})...)
		rule(append(within(ipDest, serviceRange), &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: portUnreachable})...)
		// An address of ours that nobody has must not leave by the default route.
		for _, p := range []netip.Prefix{podRange, outsideRange} {
			e := append(append(toUplink(), notRewritten()...), within(ipDest, p)...)
			rule(append(e, &expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: hostUnreachable})...)
		}
	}
}

// addPolicy adds the rules that lead to the chains of isolated pods. In the
// forward hook a Service's address has been rewritten, so policies see pods.
func (f *firewall) addPolicy(c *nftables.Conn) {
	rule := func(e ...expr.Any) { c.AddRule(&nftables.Rule{Table: f.table, Chain: f.policy, Exprs: e}) }
	rule(append(stateKnown(), &expr.Verdict{Kind: expr.VerdictReturn})...)
	rule(load(ipSource, reg0), load(ipDest, reg1),
		&expr.Lookup{SourceRegister: reg0, SetName: f.hairpin.Name, SetID: f.hairpin.ID},
		&expr.Verdict{Kind: expr.VerdictReturn})
	rule(load(ipSource, reg0), lookupVerdict(f.isolatedOut))
	rule(load(ipDest, reg0), lookupVerdict(f.isolatedIn))
}

// ICMP codes that say so.
const (
	hostUnreachable = 1
	portUnreachable = 3
)

// Close removes the table.
func (f *firewall) Close() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	c.DelTable(f.table)
	return c.Flush()
}

// addHairpin has ip's calls to itself through a Service answered.
func (f *firewall) addHairpin(ip netip.Addr) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	if err := c.SetAddElements(f.hairpin, hairpinElement(ip)); err != nil {
		return err
	}
	return c.Flush()
}

func (f *firewall) removeHairpin(ip netip.Addr) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	if err := c.SetDeleteElements(f.hairpin, hairpinElement(ip)); err != nil {
		return err
	}
	return c.Flush()
}

func hairpinElement(ip netip.Addr) []nftables.SetElement {
	return []nftables.SetElement{{Key: append(ip.AsSlice(), ip.AsSlice()...)}}
}

// A target is what stands behind one port of a Service.
type target struct {
	key      portKey
	sticky   bool // by the client's address
	backends []netip.AddrPort
}

// portKey is one port of a Service.
type portKey struct {
	addr     netip.Addr
	protocol byte // IPPROTO_TCP or _UDP
	port     uint16
}

func (k portKey) element() nftables.SetElement {
	key := append(k.addr.AsSlice(), k.protocol, 0, 0, 0)
	key = binary.BigEndian.AppendUint16(key, k.port)
	return nftables.SetElement{Key: append(key, 0, 0)}
}

// replace swaps the ports of a Service for others, in one batch. chains holds
// the chain of each port, and is brought up to date. A port without backends
// gets no chain, and is refused. The element of a port that stays is not touched:
// see enforce.
func (f *firewall) replace(chains map[portKey]*nftables.Chain, targets []target) error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	fresh := map[portKey]*nftables.Chain{}
	for _, t := range targets {
		if len(t.backends) == 0 {
			continue
		}
		ch := chains[t.key]
		if ch != nil {
			c.FlushChain(ch)
		} else {
			f.chains++
			ch = c.AddChain(&nftables.Chain{Table: f.table, Name: fmt.Sprint("service-", f.chains)})
		}
		for i := range t.backends {
			c.AddRule(&nftables.Rule{Table: f.table, Chain: ch, Exprs: t.rule(i)})
		}
		fresh[t.key] = ch
		if chains[t.key] != nil {
			continue
		}
		e := t.key.element()
		e.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: ch.Name}
		if err := c.SetAddElements(f.services, []nftables.SetElement{e}); err != nil {
			return err
		}
	}
	for k, ch := range chains {
		if fresh[k] != nil {
			continue
		}
		if err := c.SetDeleteElements(f.services, []nftables.SetElement{k.element()}); err != nil {
			return err
		}
		c.FlushChain(ch)
		c.DelChain(ch)
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("nftables: %w", err)
	}
	clear(chains)
	maps.Copy(chains, fresh)
	return nil
}

// rule i of a target's chain sends its share of what the rules before it left to
// backend i: the first of three every third, the next every second, the last all.
func (t target) rule(i int) []expr.Any {
	b, left := t.backends[i], uint32(len(t.backends)-i)
	var e []expr.Any
	switch {
	case t.sticky && len(t.backends) > 1:
		e = append(e, load(ipSource, reg0), &expr.Hash{SourceRegister: reg0, DestRegister: reg1, Length: 4,
			Modulus: uint32(len(t.backends)), Seed: 1, Type: expr.HashTypeJenkins}, equals(reg1, native(uint32(i))))
	case left > 1:
		e = append(e, &expr.Numgen{Register: reg0, Modulus: left, Type: unix.NFT_NG_INCREMENTAL}, equals(reg0, native(0)))
	}
	return append(e,
		&expr.Immediate{Register: reg0, Data: b.Addr().AsSlice()},
		&expr.Immediate{Register: reg1, Data: binary.BigEndian.AppendUint16(nil, b.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg0, RegProtoMin: reg1, Specified: true})
}
