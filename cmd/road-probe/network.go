package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

// A conn is a socket that never blocks for longer than its deadline.
type conn struct {
	fd       int
	peer     string
	deadline time.Time
}

// open makes a socket for network and the address family of addr.
func open(network, addr string, timeout int) (*conn, netip.AddrPort, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, to, err
	}
	kind := unix.SOCK_STREAM
	switch network {
	case "", "tcp":
	case "udp":
		kind = unix.SOCK_DGRAM
	default:
		return nil, to, fmt.Errorf("no such network: %q", network)
	}
	family := unix.AF_INET
	if !to.Addr().Unmap().Is4() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, to, failed("socket", addr, err)
	}
	limit := 3 * time.Second
	if timeout > 0 {
		limit = time.Duration(timeout) * time.Millisecond
	}
	return &conn{fd, addr, time.Now().Add(limit)}, to, nil
}

func (c *conn) close() { unix.Close(c.fd) }

// wait waits until the socket may be ready for events; ETIMEDOUT at the deadline.
// Where a filter refuses to poll, the caller tries again and again, as an attacker
// would who may use only what the server itself uses.
func (c *conn) wait(op string, events int16) error {
	for {
		left := time.Until(c.deadline)
		if left <= 0 {
			return failed(op, c.peer, unix.ETIMEDOUT)
		}
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: events}}
		n, err := unix.Poll(fds, int(left.Milliseconds())+1)
		switch err {
		case nil, unix.EINTR:
		case unix.EPERM, unix.EACCES, unix.ENOSYS:
			time.Sleep(min(left, again))
			return nil
		default:
			return failed(op, c.peer, err)
		}
		if n > 0 {
			return nil
		}
	}
}

// again is the time between two tries without poll.
const again = 2 * time.Millisecond

// connect asks connect itself what became of it: no other call is needed.
func (c *conn) connect(to netip.AddrPort) error {
	for {
		switch err := unix.Connect(c.fd, sockaddr(to)); err {
		case nil, unix.EISCONN:
			return nil
		case unix.EINPROGRESS, unix.EALREADY, unix.EINTR:
		default:
			return failed("connect", c.peer, err)
		}
		if err := c.wait("connect", unix.POLLOUT); err != nil {
			return err
		}
	}
}

func (c *conn) write(b []byte) error {
	for len(b) > 0 {
		n, err := unix.Write(c.fd, b)
		switch err {
		case nil:
			b = b[n:]
		case unix.EAGAIN, unix.EINTR:
			if err := c.wait("write", unix.POLLOUT); err != nil {
				return err
			}
		default:
			return failed("write", c.peer, err)
		}
	}
	return nil
}

// read gives what is there, at most len(b) bytes; 0 at the end.
func (c *conn) read(b []byte) (int, error) {
	for {
		if err := c.wait("read", unix.POLLIN); err != nil {
			return 0, err
		}
		n, err := unix.Read(c.fd, b)
		if err != unix.EAGAIN && err != unix.EINTR {
			return max(n, 0), failed("read", c.peer, err)
		}
	}
}

func dial(_ context.Context, _ *agent, args probe.DialArgs) (any, error) {
	c, to, err := open(args.Network, args.Addr, args.Timeout)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.connect(to); err != nil {
		return nil, err
	}
	result := probe.DialResult{Local: localAddr(c.fd)}
	if err := c.write(args.Send); err != nil {
		return nil, err
	}
	want := args.Expect
	if want < 0 || want > outputLimit {
		want = outputLimit
	}
	buf := make([]byte, 64<<10)
	for len(result.Data) < want {
		n, err := c.read(buf)
		if err != nil {
			// What came is the result; a reset after it is only the end.
			result.TimedOut = errors.Is(err, unix.ETIMEDOUT)
			if !result.TimedOut && len(result.Data) == 0 {
				return nil, err
			}
			return result, nil
		}
		if n == 0 && args.Network != "udp" {
			break
		}
		result.Data = append(result.Data, buf[:n]...)
	}
	return result, nil
}

func listen(_ context.Context, a *agent, args probe.ListenArgs) (any, error) {
	c, at, err := open(args.Network, args.Addr, 0)
	if err != nil {
		return nil, err
	}
	_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // without it a port may be taken for a while
	if err := unix.Bind(c.fd, sockaddr(at)); err != nil {
		c.close()
		return nil, failed("bind", args.Addr, err)
	}
	serve := serveUDP
	if args.Network != "udp" {
		serve = serveTCP
		if err := unix.Listen(c.fd, 16); err != nil {
			c.close()
			return nil, failed("listen", args.Addr, err)
		}
	}
	addr := localAddr(c.fd)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer c.close()
		for {
			select {
			case <-stop:
				return
			default:
			}
			c.deadline = time.Now().Add(50 * time.Millisecond)
			if c.wait("accept", unix.POLLIN) == nil {
				serve(c.fd, args.Send)
			}
		}
	}()
	hold := a.hold(func() { close(stop); <-stopped })
	return probe.ListenResult{Hold: hold, Addr: addr}, nil
}

// serveTCP greets one client and hangs up.
func serveTCP(fd int, greeting []byte) {
	client, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
	if err != nil {
		return // it has gone again
	}
	c := &conn{client, "client", time.Now().Add(time.Second)}
	defer c.close()
	if c.write(greeting) == nil {
		unix.Shutdown(client, unix.SHUT_WR)
	}
}

// serveUDP answers one packet.
func serveUDP(fd int, answer []byte) {
	buf := make([]byte, 64<<10)
	if _, from, err := unix.Recvfrom(fd, buf, 0); err == nil && from != nil {
		unix.Sendto(fd, answer, 0, from) // a client that has gone is no fault
	}
}

// rawSend sends a UDP packet with its IP header written by hand. The kernel fills
// in the length and the header's checksum; UDP over IPv4 needs none of its own.
func rawSend(_ context.Context, _ *agent, args probe.RawArgs) (any, error) {
	from, err := netip.ParseAddrPort(args.Source)
	if err != nil {
		return nil, err
	}
	to, err := netip.ParseAddrPort(args.Dest)
	if err != nil {
		return nil, err
	}
	if !from.Addr().Is4() || !to.Addr().Is4() {
		return nil, &fs.PathError{Op: "rawsend", Path: args.Dest, Err: unix.EAFNOSUPPORT}
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return nil, failed("socket", "SOCK_RAW", err)
	}
	defer unix.Close(fd)
	source, dest := from.Addr().As4(), to.Addr().As4()
	p := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	p = append(append(p, source[:]...), dest[:]...)
	p = binary.BigEndian.AppendUint16(p, from.Port())
	p = binary.BigEndian.AppendUint16(p, to.Port())
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(args.Data)))
	p = append(append(p, 0, 0), args.Data...)
	return nil, failed("sendto", args.Dest, unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: dest}))
}

func socket(_ context.Context, _ *agent, args probe.SocketArgs) (any, error) {
	fd, err := unix.Socket(args.Family, args.Type|unix.SOCK_CLOEXEC, args.Protocol)
	if err != nil {
		return nil, failed("socket", fmt.Sprintf("family %d", args.Family), err)
	}
	return nil, failed("close", "socket", unix.Close(fd))
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if ip := a.Addr().Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(a.Port()), Addr: ip.As4()}
	}
	return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
}

// localAddr is the socket's own address, "" where the kernel gives none.
func localAddr(fd int) string {
	switch sa, _ := unix.Getsockname(fd); sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)).String()
	}
	return ""
}
