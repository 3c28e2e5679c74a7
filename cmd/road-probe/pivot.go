package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"road/internal/probe"
)

// A pivot is a connection that others speak through: what is said, TLS perhaps,
// is made outside of the container, so this program needs none of it.
type pivot struct {
	c      *conn
	mu     sync.RWMutex // held for reading while the socket is in use
	closed bool
}

// open connects and keeps the connection until Release.
func openPivot(_ context.Context, a *agent, args probe.OpenArgs) (any, error) {
	c, to, err := open("tcp", args.Addr, args.Timeout)
	if err != nil {
		return nil, err
	}
	if err := c.connect(to); err != nil {
		c.close()
		return nil, err
	}
	p := &pivot{c: c}
	hold := a.hold(p.end)
	a.mu.Lock()
	a.pivots[hold] = p
	a.mu.Unlock()
	return probe.OpenResult{Hold: hold, Local: localAddr(c.fd)}, nil
}

// end closes the connection, when nobody uses it any more.
func (p *pivot) end() {
	unix.Shutdown(p.c.fd, unix.SHUT_RDWR) // wakes who waits; one that has ended is no fault
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.c.close()
}

// use does one thing with a connection.
func (a *agent) use(hold, timeout int, do func(*conn) error) error {
	a.mu.Lock()
	p := a.pivots[hold]
	a.mu.Unlock()
	if p == nil {
		return fmt.Errorf("no connection %d", hold)
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.closed {
		return errors.New("the connection was closed")
	}
	limit := 3 * time.Second
	if timeout > 0 {
		limit = time.Duration(timeout) * time.Millisecond
	}
	return do(&conn{p.c.fd, p.c.peer, time.Now().Add(limit)})
}

func send(_ context.Context, a *agent, args probe.SendArgs) (any, error) {
	return nil, a.use(args.Hold, args.Timeout, func(c *conn) error { return c.write(args.Data) })
}

func receive(_ context.Context, a *agent, args probe.ReceiveArgs) (any, error) {
	buf := make([]byte, 64<<10)
	var n int
	err := a.use(args.Hold, args.Timeout, func(c *conn) (err error) {
		n, err = c.read(buf)
		return err
	})
	if err != nil {
		return nil, err
	}
	return probe.ReceiveResult{Data: buf[:n], End: n == 0}, nil
}
