package world

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// InNS runs f in the network namespace that fd is open on. A socket keeps the
// namespace it was born in, so f makes sockets there and anybody uses them. f
// must not resolve names nor start goroutines: those run elsewhere.
func InNS(fd int, f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

// NewNetNS makes a network namespace, pinned at path until that is unmounted,
// and set as containerd sets a pod's: any user may listen on any port, and ping.
// The descriptor is the caller's to close.
func NewNetNS(path string) (fd int, err error) {
	type result struct {
		fd  int
		err error
	}
	done := make(chan result, 1)
	go func() {
		runtime.LockOSThread() // never unlocked
		fd, err := newNetNS(path)
		done <- result{fd, err}
	}()
	r := <-done
	return r.fd, r.err
}

// newNetNS works on a thread that is thrown away.
func newNetNS(path string) (int, error) {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return -1, fmt.Errorf("make network namespace: %w", err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return -1, err
	}
	f.Close()
	if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
		os.Remove(path)
		return -1, fmt.Errorf("pin network namespace: %w", err)
	}
	if err := setPodSysctls(); err != nil {
		RemoveNetNS(path)
		return -1, err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		RemoveNetNS(path)
		return -1, err
	}
	return fd, nil
}

// podSysctls are settings of every namespace that NewNetNS makes. The sandbox's
// network is IPv4 only, as that of most clusters; ::1 works still.
var podSysctls = map[string]string{
	"ipv4/ip_unprivileged_port_start": "0",
	"ipv4/ping_group_range":           "0 2147483647",
	"ipv6/conf/default/disable_ipv6":  "1",
}

// setPodSysctls acts on the namespace of the thread that it runs on.
func setPodSysctls() error {
	for name, value := range podSysctls {
		// Absent where the kernel has no IPv6.
		if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("set up network namespace: %w", err)
		}
	}
	return nil
}

// OpenNetNS sets up a network namespace that is pinned at path already, as
// NewNetNS does. The descriptor is the caller's to close.
func OpenNetNS(path string) (fd int, err error) {
	if fd, err = unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	if err := InNS(fd, setPodSysctls); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// RemoveNetNS unpins a namespace of NewNetNS. It lives on while a process or a
// descriptor is in it.
func RemoveNetNS(path string) error {
	if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unpin network namespace: %w", err)
	}
	return os.Remove(path)
}

// DialNS connects from the network namespace fd to an address of the form
// IP:port.
func DialNS(ctx context.Context, fd int, network, addr string) (c net.Conn, err error) {
	if err := literal(addr); err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	err = InNS(fd, func() error {
		c, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// ListenNS listens in the network namespace fd; the host part of addr is an IP
// or empty.
func ListenNS(ctx context.Context, fd int, network, addr string) (l net.Listener, err error) {
	if err := literal(addr); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	err = InNS(fd, func() error {
		var c net.ListenConfig
		c.SetMultipathTCP(false) // its sockets lack options that we read
		l, err = c.Listen(ctx, network, addr)
		return err
	})
	return l, err
}

// ListenPacketNS is ListenNS for datagrams.
func ListenPacketNS(ctx context.Context, fd int, network, addr string) (p net.PacketConn, err error) {
	if err := literal(addr); err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	err = InNS(fd, func() error {
		p, err = new(net.ListenConfig).ListenPacket(ctx, network, addr)
		return err
	})
	return p, err
}

// literal refuses a host part that would have to be resolved.
func literal(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil || host == "" {
		return err
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf("%q is not an IP address", host)
	}
	return nil
}
