package network

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Registers of four bytes, which lie side by side: a key of several parts is
// loaded into neighbours and looked up from the first.
const (
	reg0 = unix.NFT_REG32_00
	reg1 = unix.NFT_REG32_01
	reg2 = unix.NFT_REG32_02
	reg3 = unix.NFT_REG32_03
)

// Offsets in the IPv4 header.
const (
	ipSource = 12
	ipDest   = 16
)

// load puts an address of the packet into a register.
func load(offset, register uint32) expr.Any {
	return &expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4}
}

// serviceKeyExprs load the key of the services map.
func serviceKeyExprs() []expr.Any {
	return []expr.Any{
		load(ipDest, reg0),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg1},
		&expr.Payload{DestRegister: reg2, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
	}
}

// lookupVerdict follows a map of verdicts from the key in reg0 on.
func lookupVerdict(s *nftables.Set) expr.Any {
	return &expr.Lookup{SourceRegister: reg0, SetName: s.Name, SetID: s.ID, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true}
}

func equals(register uint32, data []byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: data}
}

// within matches an address of the packet in a range.
func within(offset uint32, p netip.Prefix) []expr.Any {
	return []expr.Any{
		load(offset, reg0),
		&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: net.CIDRMask(p.Bits(), 32), Xor: make([]byte, 4)},
		equals(reg0, p.Masked().Addr().AsSlice()),
	}
}

func isProtocol(p byte) []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg0}, equals(reg0, []byte{p})}
}

// fromOutside matches the links of machines outside the cluster.
func fromOutside() []expr.Any {
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: unix.NFT_REG_1}, equals(unix.NFT_REG_1, []byte(outsideLink))}
}

// toUplink matches what leaves by the way out.
func toUplink() []expr.Any {
	name := append([]byte(uplinkLink), 0) // the whole name
	return []expr.Any{&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: unix.NFT_REG_1}, equals(unix.NFT_REG_1, name)}
}

// notRewritten leaves out what is on its way to a backend: in the output hook it
// has the link still that led to the Service's address.
func notRewritten() []expr.Any {
	const rewritten = 1 << 5 // IPS_DST_NAT
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: reg0},
		&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: native(rewritten), Xor: make([]byte, 4)},
		equals(reg0, make([]byte, 4)),
	}
}

// stateNew matches the first packet of a connection.
func stateNew() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: reg0},
		&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: native(expr.CtStateBitNEW), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg0, Data: make([]byte, 4)},
	}
}

// stateKnown matches what belongs to a connection that was let through before:
// its later packets, its answers, and errors about it.
func stateKnown() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATE, Register: reg0},
		&expr.Bitwise{SourceRegister: reg0, DestRegister: reg0, Len: 4, Mask: native(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg0, Data: make([]byte, 4)},
	}
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }
