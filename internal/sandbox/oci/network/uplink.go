package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"time"

	"road/internal/sandbox/oci/world"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// proxyPort is where the proxy listens; connections to any port are led there.
const proxyPort = 15001

// dialPatience is how long a connection to the internet may take.
const dialPatience = 10 * time.Second

// setUpUplink makes the way out: a namespace behind the router's default route
// in which every connection is led into a proxy of ours. That connects from the
// host's network, where the connection is allowed. The router itself sees the
// true address, so policies hold there.
//
// It carries TCP and DNS. As the proxy takes a connection before it has made its
// own, a connection to the internet that succeeds proves nothing; bytes do.
func (n *Network) setUpUplink() error {
	path := filepath.Join(n.dir, uplinkLink)
	fd, err := world.NewNetNS(path)
	if err != nil {
		return err
	}
	l := link{name: uplinkLink, fd: fd, router: routerUp, addr: proxyUp}
	n.onClose(func() error { return errors.Join(l.remove(), world.RemoveNetNS(path), unix.Close(fd)) })
	if err := l.add(); err != nil {
		return err
	}
	dev, err := netlink.LinkByName(uplinkLink)
	if err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: dev.Attrs().Index, Gw: proxyUp.AsSlice()}); err != nil {
		return fmt.Errorf("default route: %w", err)
	}
	if err := world.InNS(fd, redirectAll); err != nil {
		return fmt.Errorf("way out: %w", err)
	}
	tcp, err := world.ListenNS(context.Background(), fd, "tcp4", ":"+strconv.Itoa(proxyPort))
	if err != nil {
		return err
	}
	n.onClose(tcp.Close)
	udp, err := world.ListenPacketNS(context.Background(), fd, "udp4", ":53")
	if err != nil {
		return err
	}
	n.dns.serve(&dns.Server{PacketConn: udp})
	go n.proxy(tcp)
	return nil
}

// redirectAll leads TCP to the proxy and questions to our name server.
func redirectAll() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "uplink"})
	ch := c.AddChain(&nftables.Chain{Table: t, Name: "prerouting", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityNATDest})
	redirect := func(match []expr.Any, port uint16) {
		c.AddRule(&nftables.Rule{Table: t, Chain: ch, Exprs: append(match,
			&expr.Immediate{Register: reg0, Data: binary.BigEndian.AppendUint16(nil, port)},
			&expr.Redir{RegisterProtoMin: reg0})})
	}
	redirect(isProtocol(unix.IPPROTO_TCP), proxyPort)
	redirect(append(isProtocol(unix.IPPROTO_UDP),
		&expr.Payload{DestRegister: reg0, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		equals(reg0, binary.BigEndian.AppendUint16(nil, 53))), 53)
	return c.Flush()
}

// proxy serves the way out until l is closed.
func (n *Network) proxy(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go n.letOut(c.(*net.TCPConn))
	}
}

// letOut connects one client with where it wanted to go, or hangs up on it.
func (n *Network) letOut(c *net.TCPConn) {
	defer c.Close()
	to, err := originalDestination(c)
	from, ferr := netip.ParseAddrPort(c.RemoteAddr().String())
	switch {
	case err != nil || ferr != nil || n.egress.refuse(routerUp, to) != "":
		c.SetLinger(0) // a reset says no, an end could be an answer
		return
	case n.egress.refuse(from.Addr(), to) != "": // it is for builds
		n.onlyMirrors(c, to)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialPatience)
	defer cancel()
	up, err := world.DialNS(ctx, n.world.HostNet, "tcp4", to.String())
	if err != nil {
		c.SetLinger(0)
		return
	}
	join(c, up)
}

// originalDestination is where a redirected connection was going.
func originalDestination(c *net.TCPConn) (to netip.AddrPort, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return to, err
	}
	cerr := raw.Control(func(fd uintptr) {
		// The kernel answers with a sockaddr_in, which fits into this structure:
		// family, port, address, two bytes each but the last.
		var m *unix.IPv6Mreq
		if m, err = unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, unix.SO_ORIGINAL_DST); err == nil {
			b := m.Multiaddr
			to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), binary.BigEndian.Uint16(b[2:4]))
		}
	})
	return to, errors.Join(cerr, err)
}

// join carries bytes both ways until both sides are done, and closes both.
func join(a, b net.Conn) {
	defer a.Close()
	defer b.Close()
	done := make(chan struct{})
	go func() {
		carry(b, a)
		close(done)
	}()
	carry(a, b)
	<-done
}

// carry copies from src to dst until src ends, and says so to dst.
func carry(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		half.CloseWrite()
		return
	}
	dst.Close()
	src.Close()
}
