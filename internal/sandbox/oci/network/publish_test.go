package network

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// loopback is a listener for tests that need no world.
func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// forwardTo forwards to a server that handles connections as serve does.
func forwardTo(t *testing.T, serve func(net.Listener)) *Forwarder {
	t.Helper()
	app := loopback(t)
	go serve(app)
	f := forward(loopback(t), func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", app.Addr().String())
	})
	t.Cleanup(func() { f.Close() })
	return f
}

// web answers with the request's own words, so that changes on the way show.
func web(l net.Listener) {
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			io.WriteString(w, "first\n")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		b, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s host=%s body=%s ua=%q", r.Method, r.RequestURI, r.Host, b, r.Header.Get("User-Agent"))
	}))
}

// TestForwarderRefusesOtherSites: a page that the user visits must not reach the
// holes that the application has on purpose.
func TestForwarderRefusesOtherSites(t *testing.T) {
	f := forwardTo(t, web)
	addr := f.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	for _, test := range []struct {
		name, method, host string
		header             map[string]string
		want               int
	}{
		{"curl", "GET", addr, nil, 200},
		{"localhost", "GET", "localhost:" + port, nil, 200},
		{"IPv6", "GET", "[::1]:" + port, nil, 200},
		{"no port", "GET", "localhost", nil, 200},
		{"typed in", "GET", addr, map[string]string{"Sec-Fetch-Site": "none"}, 200},
		{"own page", "POST", addr, map[string]string{"Sec-Fetch-Site": "same-origin", "Origin": "http://" + addr}, 200},
		{"rebound name", "GET", "evil.example:" + port, nil, 421},
		{"rebound name, own method", "steal", "evil.example:" + port, nil, 421},
		{"odd method, own host", "steal", addr, nil, 200},
		{"localhost as a prefix", "GET", "localhost.evil.example", nil, 421},
		{"user name", "GET", "localhost@evil.example", nil, 400},
		{"path", "GET", "evil.example/localhost", nil, 400},
		{"other address", "GET", "192.0.2.2:" + port, nil, 421},
		{"other page", "GET", addr, map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"other port's page", "GET", addr, map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"other page's form", "POST", addr, map[string]string{"Origin": "https://evil.example"}, 403},
		{"file", "POST", addr, map[string]string{"Origin": "null"}, 403},
		{"other port's form", "POST", addr, map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
	} {
		var b strings.Builder
		fmt.Fprintf(&b, "%s /rce/?cmd=id HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", test.method, test.host)
		for k, v := range test.header {
			fmt.Fprintf(&b, "%s: %s\r\n", k, v)
		}
		res := raw(t, addr, b.String()+"\r\n")
		if res.StatusCode != test.want {
			t.Errorf("%s: status %d, want %d", test.name, res.StatusCode, test.want)
		}
		body, _ := io.ReadAll(res.Body)
		if got := strings.Contains(string(body), "cmd=id"); got != (test.want == 200) {
			t.Errorf("%s: the application saw it: %v: %s", test.name, got, body)
		}
	}
}

// raw sends bytes and reads a response.
func raw(t *testing.T, addr, request string) *http.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, request)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return res
}

// TestForwarderAfterSilence: a browser may connect long before it asks.
func TestForwarderAfterSilence(t *testing.T) {
	f := forwardTo(t, web)
	c, err := net.Dial("tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.Sleep(patience + 200*time.Millisecond)
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "GET /rce/ HTTP/1.1\r\nHost: evil.example\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 421 {
		t.Errorf("%v, %v", res, err)
	}
}

// TestForwarderKeepsRequests: the attack's request arrives as it was typed, and
// its output as it is made.
func TestForwarderKeepsRequests(t *testing.T) {
	f := forwardTo(t, web)
	addr := f.Addr().String()
	for _, uri := range []string{"/rce/?cmd=a;b%20c&d", "/a%2Fb//c?%zz", "/"} {
		res := raw(t, addr, fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", uri, addr))
		body, _ := io.ReadAll(res.Body)
		if want := fmt.Sprintf("POST %s host=%s body=hi ua=\"\"", uri, addr); string(body) != want {
			t.Errorf("got %s, want %s", body, want)
		}
	}
	res := raw(t, addr, "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if line, err := bufio.NewReader(res.Body).ReadString('\n'); line != "first\n" {
		t.Errorf("output that is not over: %q, %v", line, err)
	}
}

// TestForwarderCarriesOtherProtocols: whoever speaks first.
func TestForwarderCarriesOtherProtocols(t *testing.T) {
	echo := forwardTo(t, func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(c, c); c.Close() }()
		}
	})
	c, err := net.Dial("tcp", echo.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "*1\r\n$4\r\nPING\r\n")
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c); string(b) != "*1\r\n$4\r\nPING\r\n" {
		t.Errorf("redis: %q, %v", b, err)
	}

	banner := forwardTo(t, func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.WriteString(c, "220 ready\r\n")
				line, _ := bufio.NewReader(c).ReadString('\n')
				io.WriteString(c, "you said "+line)
				c.Close()
			}()
		}
	})
	c, err = net.Dial("tcp", banner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	r := bufio.NewReader(c)
	if line, err := r.ReadString('\n'); line != "220 ready\r\n" {
		t.Errorf("banner: %q, %v", line, err)
	}
	io.WriteString(c, "HELO you\r\n")
	if line, err := r.ReadString('\n'); line != "you said HELO you\r\n" {
		t.Errorf("banner: %q, %v", line, err)
	}
}

// TestForwarderLateClient: what the application answers to a client that was silent
// for long reaches it. Nobody else reads from the application by then.
func TestForwarderLateClient(t *testing.T) {
	app, up := net.Pipe()
	client, down := net.Pipe()
	l := &listened{Conn: up, begun: make(chan struct{})}
	f := forward(loopback(t), func(context.Context) (net.Conn, error) { return l, nil })
	defer f.Close()
	go f.listenToBoth(&sniffed{down, bufio.NewReader(down)})
	<-l.begun
	for _, c := range []net.Conn{app, client} {
		defer c.Close()
		c.SetDeadline(time.Now().Add(10 * time.Second))
	}
	for _, word := range []string{"PING\r\n", "more\r\n"} {
		go io.WriteString(client, word)
		b := make([]byte, len(word))
		if n, err := io.ReadFull(app, b); err != nil || string(b) != word {
			t.Fatalf("the application got %q, %v", b[:n], err)
		}
		go io.WriteString(app, word)
		if n, err := io.ReadFull(client, b); err != nil || string(b) != word {
			t.Fatalf("the client got %q for an answer, %v", b[:n], err)
		}
	}
}

// A listened is a connection that tells when it is first read.
type listened struct {
	net.Conn
	once  sync.Once
	begun chan struct{}
}

func (l *listened) Read(b []byte) (int, error) {
	l.once.Do(func() { close(l.begun) })
	return l.Conn.Read(b)
}

// A slow is a connection whose deadline takes a while to be set, but for being
// lifted.
type slow struct {
	net.Conn
	asked, lifted chan struct{}
}

func (s *slow) SetReadDeadline(t time.Time) error {
	if t.IsZero() {
		close(s.lifted)
		return s.Conn.SetReadDeadline(t)
	}
	close(s.asked)
	select {
	case <-s.lifted:
	case <-time.After(200 * time.Millisecond):
	}
	return s.Conn.SetReadDeadline(t)
}

// TestForwarderBothSpeak: where both sides speak at once, the deadline that was to
// end the waiting does not end the connection.
func TestForwarderBothSpeak(t *testing.T) {
	app, up := net.Pipe()
	client, down := net.Pipe()
	f := forward(loopback(t), func(context.Context) (net.Conn, error) { return up, nil })
	defer f.Close()
	s := &slow{down, make(chan struct{}), make(chan struct{})}
	go f.listenToBoth(&sniffed{s, bufio.NewReader(s)})
	io.WriteString(app, "hello\n")
	<-s.asked
	io.WriteString(client, "PING\r\n")
	go io.WriteString(client, "more\r\n")
	app.SetDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, len("PING\r\nmore\r\n"))
	if n, err := io.ReadFull(app, b); err != nil || string(b) != "PING\r\nmore\r\n" {
		t.Errorf("%q, %v", b[:n], err)
	}
	app.Close()
	client.Close()
}

// TestForwarderCloses cuts what is open, at once.
func TestForwarderCloses(t *testing.T) {
	f := forwardTo(t, web)
	res := raw(t, f.Addr().String(), "GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("again: %v", err)
	}
	start := time.Now()
	io.Copy(io.Discard, res.Body)
	if d := time.Since(start); d > time.Second {
		t.Errorf("the connection lasted %v longer", d)
	}
	if c, err := net.Dial("tcp", f.Addr().String()); err == nil {
		c.Close()
		t.Error("still listens")
	}
}

// TestSandboxPublish goes from the host into a pod.
func TestSandboxPublish(t *testing.T) {
	n := newNetwork(t)
	a := attach(t, n, "default", "a")
	l, err := a.Listen(soon(t), "tcp4", ":80")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go web(l)
	target := func(ctx context.Context) (net.Conn, error) { return a.DialContext(ctx, "tcp", a.Addr()+":80") }
	f, err := n.Publish(soon(t), "127.0.0.1:0", target)
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.world.DialHost(soon(t), "tcp", f.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /x HTTP/1.1\r\nHost: %s\r\n\r\n", f.Addr())
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil || res.StatusCode != 200 {
		t.Errorf("%v, %v", res, err)
	}
	if c, err := net.Dial("tcp", f.Addr().String()); err == nil {
		c.Close()
		t.Error("the port is open inside the world, not on the host")
	}
	for _, addr := range []string{"0.0.0.0:0", "192.0.2.2:0", "[::]:0", "127.0.0.2:0"} {
		if f, err := n.Publish(soon(t), addr, target); !errors.Is(err, ErrNotLoopback) {
			t.Errorf("%s: %v", addr, err)
			if err == nil {
				f.Close()
			}
		}
	}
	_, err = n.Publish(soon(t), f.Addr().String(), target)
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("a port in use: %v", err)
	}
}
