package network

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A Flow is a connection that was tried: an endpoint called a port of another,
// or of an address beyond the way out. Services have been rewritten. What a
// policy denied is among them, what the node itself called is not.
type Flow struct {
	From, To netip.Addr
	Protocol string // "TCP" or "UDP"
	Port     uint16
}

// flowsKept bounds the set of flows; more are not noted.
const flowsKept = 1 << 16

func newFlowSet(t *nftables.Table) *nftables.Set {
	return &nftables.Set{Table: t, Name: "flows", Dynamic: true, Size: flowsKept,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)}
}

// noteFlow adds the first packet of a connection to the set.
func noteFlow(set *nftables.Set, protocol byte) []expr.Any {
	e := append(stateNew(), isProtocol(protocol)...)
	return append(e,
		load(ipSource, reg0), load(ipDest, reg1),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg2},
		&expr.Payload{DestRegister: reg3, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Dynset{SrcRegKey: reg0, SetName: set.Name, SetID: set.ID, Operation: unix.NFT_DYNSET_OP_ADD},
	)
}

// Flows gives every connection that was tried so far, each once.
func (n *Network) Flows() ([]Flow, error) {
	c, err := nftables.New()
	if err != nil {
		return nil, err
	}
	elements, err := c.GetSetElements(n.fw.flows)
	if err != nil {
		return nil, fmt.Errorf("nftables: flows: %w", err)
	}
	names := map[byte]string{unix.IPPROTO_TCP: "TCP", unix.IPPROTO_UDP: "UDP"}
	var out []Flow
	for _, e := range elements {
		if len(e.Key) != 16 {
			continue // the flags of the set, no flow
		}
		from, to := netip.AddrFrom4([4]byte(e.Key[:4])), netip.AddrFrom4([4]byte(e.Key[4:8]))
		out = append(out, Flow{from, to, names[e.Key[8]], binary.BigEndian.Uint16(e.Key[12:])})
	}
	return out, nil
}

// Attached says whether an address is that of an endpoint, or was meant for one:
// what is not lies beyond the way out.
func (n *Network) Attached(a netip.Addr) bool {
	if podRange.Contains(a) || serviceRange.Contains(a) || outsideRange.Contains(a) {
		return true
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for e := range n.ends {
		if e.IP == a {
			return true
		}
	}
	return false
}
