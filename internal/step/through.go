package step

import (
	"context"
	"io"
	"net"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
)

// Through connects to a numeric address from inside the attacked container, as
// an implant does that its attacker speaks through: the bytes are made here, the
// connection is the container's. The probe's refusal is given as it is.
func Through(ctx context.Context, f sandbox.Foothold, addr string, timeout time.Duration) (net.Conn, error) {
	var r probe.OpenResult
	if err := f.Code(ctx, probe.Open, probe.OpenArgs{Addr: addr, Timeout: int(timeout.Milliseconds())}, &r); err != nil {
		return nil, err
	}
	return &through{ctx: ctx, f: f, hold: r.Hold, local: r.Local, peer: addr, timeout: timeout}, nil
}

// through is a connection inside the container. One side reads and one writes,
// as TLS and HTTP do.
type through struct {
	ctx         context.Context
	f           sandbox.Foothold
	hold        int
	local, peer string
	timeout     time.Duration
	rest        []byte // received and not yet read
}

func (c *through) millis() int { return int(c.timeout.Milliseconds()) }

// Read waits as long as the connection's timeout.
func (c *through) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		var r probe.ReceiveResult
		if err := c.f.Code(c.ctx, probe.Receive, probe.ReceiveArgs{Hold: c.hold, Timeout: c.millis()}, &r); err != nil {
			return 0, err
		}
		if c.rest = r.Data; r.End {
			return 0, io.EOF
		}
	}
	n := copy(b, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

// Write sends all of b.
func (c *through) Write(b []byte) (int, error) {
	if err := c.f.Code(c.ctx, probe.Send, probe.SendArgs{Hold: c.hold, Data: b, Timeout: c.millis()}, nil); err != nil {
		return 0, err
	}
	return len(b), nil
}

// Close ends the connection.
func (c *through) Close() error {
	return Clean(c.ctx, c.f, probe.Release, probe.Held{Hold: c.hold})
}

// LocalAddr is the container's.
func (c *through) LocalAddr() net.Addr { return address(c.local) }

// RemoteAddr is who was called.
func (c *through) RemoteAddr() net.Addr { return address(c.peer) }

// The time limit is that of the connection; no other is kept.
func (c *through) SetDeadline(time.Time) error      { return nil }
func (c *through) SetReadDeadline(time.Time) error  { return nil }
func (c *through) SetWriteDeadline(time.Time) error { return nil }

// address is a numeric one of TCP.
type address string

// Network is TCP.
func (address) Network() string { return "tcp" }

// String is the address.
func (a address) String() string { return string(a) }
