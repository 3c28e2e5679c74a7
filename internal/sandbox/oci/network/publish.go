package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"
	"time"
)

// A Forwarder makes a Service reachable from the host's loopback.
//
// What it forwards to has holes on purpose, and any web page that the user
// visits can have the browser send requests to loopback. So a connection that
// speaks HTTP is served as such, and requests are refused that name another host
// (as a page does whose name was made to point to loopback) or that come from
// another site's page. Everything else is carried as it is.
type Forwarder struct {
	target func(context.Context) (net.Conn, error)
	l      net.Listener
	web    *http.Server
	conns  handover
	ctx    context.Context
	cancel context.CancelFunc
	once   sync.Once
}

// ErrNotLoopback refuses to publish on an address that others can reach.
var ErrNotLoopback = errors.New("only 127.0.0.1 can be published on")

// Publish listens on the host's loopback, 127.0.0.1:port (0 for a free one), and
// carries every connection to one that target makes.
func (n *Network) Publish(ctx context.Context, addr string, target func(context.Context) (net.Conn, error)) (*Forwarder, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, fmt.Errorf("publish on %s: %w", addr, err)
	}
	if ap.Addr() != netip.AddrFrom4([4]byte{127, 0, 0, 1}) {
		return nil, fmt.Errorf("publish on %s: %w", addr, ErrNotLoopback)
	}
	l, err := n.world.ListenHost(ctx, "tcp4", addr)
	if err != nil {
		return nil, fmt.Errorf("publish: %w", err)
	}
	f := forward(l, target)
	n.onClose(f.Close)
	return f, nil
}

// forward serves on a listener.
func forward(l net.Listener, target func(context.Context) (net.Conn, error)) *Forwarder {
	f := &Forwarder{target: target, l: l}
	f.ctx, f.cancel = context.WithCancel(context.Background())
	f.conns = handover{make(chan net.Conn), f.ctx.Done(), l.Addr()}
	silent := log.New(io.Discard, "", 0) // what clients do wrong is theirs to see
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery // also what does not parse: it is the attacker's
			r.Out.Host = r.In.Host
		},
		Transport: &http.Transport{
			DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return target(ctx) },
			DisableCompression: true,
		},
		FlushInterval: -1, // output is seen as it is made
		ErrorLog:      silent,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "road: the application does not answer: "+err.Error(), http.StatusBadGateway)
		},
	}
	f.web = &http.Server{Handler: sameSite(proxy), ErrorLog: silent, ReadHeaderTimeout: time.Minute}
	go f.web.Serve(f.conns)
	go f.accept()
	return f
}

// Addr is the address on the host.
func (f *Forwarder) Addr() net.Addr { return f.l.Addr() }

// Close stops listening and cuts all connections.
func (f *Forwarder) Close() error {
	err := os.ErrClosed
	f.once.Do(func() {
		f.cancel()
		err = errors.Join(f.l.Close(), f.web.Close())
	})
	if err == os.ErrClosed {
		return nil
	}
	return err
}

// sameSite passes on what the user or a tool asked for, and refuses what another
// site's page did.
func sameSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLoopback(r.Host) {
			http.Error(w, "road: refused: the request names another host than localhost", http.StatusMisdirectedRequest)
			return
		}
		if !fromHere(r) {
			http.Error(w, "road: refused: the request comes from another site's page", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback says whether a host or host:port is this machine's own.
func isLoopback(hostport string) bool {
	u, err := url.Parse("http://" + hostport)
	return err == nil && u.Host == hostport && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, u.Hostname())
}

// fromHere believes what browsers say of where a request comes from. Tools say
// nothing.
func fromHere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
	default:
		return false
	}
	for _, origin := range r.Header.Values("Origin") {
		if origin != "http://"+r.Host {
			return false
		}
	}
	return true
}

func (f *Forwarder) accept() {
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		go f.serve(c)
	}
}

// A sniffed is a connection whose first bytes were looked at.
type sniffed struct {
	net.Conn
	r *bufio.Reader
}

func (s *sniffed) Read(b []byte) (int, error) { return s.r.Read(b) }

// CloseWrite ends our half, as the connection below can.
func (s *sniffed) CloseWrite() error {
	if half, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return s.Conn.Close()
}

// patience is how long a client may be silent before the application is asked
// whether it is the one to speak first.
const patience = time.Second

// serve finds out what a connection speaks. The client's first bytes tell; until
// they come, only a word of the application's makes it one that is no HTTP.
func (f *Forwarder) serve(c net.Conn) {
	s := &sniffed{c, bufio.NewReader(c)}
	stop := context.AfterFunc(f.ctx, func() { c.Close() })
	defer stop()
	c.SetReadDeadline(time.Now().Add(patience))
	web, err := speaksHTTP(s.r)
	c.SetReadDeadline(time.Time{})
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		f.listenToBoth(s)
	case err != nil:
		c.Close()
	case web:
		f.conns.give(s)
	default:
		f.carry(s, nil)
	}
}

// listenToBoth waits for the first word of either side.
func (f *Forwarder) listenToBoth(s *sniffed) {
	up, err := f.target(f.ctx)
	if err != nil {
		s.Close()
		return
	}
	u := &sniffed{up, bufio.NewReader(up)}
	var mu sync.Mutex // so that nobody is woken up after the deadline was lifted
	decided := false
	decide := func(then func()) (first bool) {
		mu.Lock()
		defer mu.Unlock()
		if first = !decided; first {
			decided = true
			then()
		}
		return first
	}
	listened := make(chan struct{}) // closed when nobody listens to the application here
	go func() {
		defer close(listened)
		if _, err := u.r.Peek(1); err == nil {
			decide(func() { s.SetReadDeadline(time.Unix(1, 0)) }) // wakes the other up
		}
	}()
	web, err := speaksHTTP(s.r)
	if decide(func() {}) && (web || err != nil) {
		up.Close()
		if err != nil {
			s.Close()
			return
		}
		f.conns.give(s)
		return
	}
	s.SetReadDeadline(time.Time{})
	up.SetReadDeadline(time.Unix(1, 0)) // else what it says next would be kept from the client
	<-listened
	up.SetReadDeadline(time.Time{})
	f.carry(s, u)
}

// carry carries bytes as they are; up may have been made already.
func (f *Forwarder) carry(s *sniffed, up net.Conn) {
	if up == nil {
		var err error
		if up, err = f.target(f.ctx); err != nil {
			s.Close()
			return
		}
	}
	stop := context.AfterFunc(f.ctx, func() { up.Close() })
	defer stop()
	join(s, up)
}

// speaksHTTP waits until the first bytes tell whether they begin a request: a
// method, which may be any token, and a space.
func speaksHTTP(r *bufio.Reader) (bool, error) {
	for i := 1; i <= 64; i++ {
		b, err := r.Peek(i)
		if err != nil {
			return false, err
		}
		switch last := b[i-1]; {
		case last == ' ':
			return i > 1, nil
		case !isToken(last):
			return false, nil
		}
	}
	return false, nil
}

// isToken says whether a byte may be in an HTTP method (RFC 9110, section 5.6.2).
func isToken(b byte) bool {
	switch {
	case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9':
		return true
	}
	return slices.Contains([]byte("!#$%&'*+-.^_`|~"), b)
}

// A handover is the listener of the HTTP server: it accepts what it is given.
type handover struct {
	c    chan net.Conn
	done <-chan struct{}
	addr net.Addr
}

func (h handover) give(c net.Conn) {
	select {
	case h.c <- c:
	case <-h.done:
		c.Close()
	}
}

// Accept, Close and Addr are what the HTTP server needs of a listener.
func (h handover) Accept() (net.Conn, error) {
	select {
	case c := <-h.c:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}
func (h handover) Close() error   { return nil }
func (h handover) Addr() net.Addr { return h.addr }
