package world

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// DialHost connects from the host's network namespace. Names are resolved there
// too, by the host's own name servers.
func (w *World) DialHost(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return DialNS(ctx, w.HostNet, network, addr)
	}
	ips, err := w.HostResolver().LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", addr, err)
	}
	var errs []error
	for _, ip := range ips {
		c, err := DialNS(ctx, w.HostNet, network, net.JoinHostPort(ip.Unmap().String(), port))
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// HostResolver resolves names as the host does, from inside: /etc/hosts and the
// host's name servers.
func (w *World) HostResolver() *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		// The address that is asked for comes from the world's resolv.conf.
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			err := errors.New("the host has no name server")
			for _, ns := range w.Nameservers {
				var c net.Conn
				if c, err = DialNS(ctx, w.HostNet, network, net.JoinHostPort(ns, "53")); err == nil {
					return c, nil
				}
			}
			return nil, err
		},
	}
}

// ListenHost listens in the host's network namespace. addr has an IP.
func (w *World) ListenHost(ctx context.Context, network, addr string) (net.Listener, error) {
	return ListenNS(ctx, w.HostNet, network, addr)
}
