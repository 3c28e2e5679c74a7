package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"
)

// start serves the routes; the counter is one of the test's own.
func start(t *testing.T, next func(context.Context) (int64, error)) string {
	t.Helper()
	server := httptest.NewServer(newHandler(next))
	t.Cleanup(server.Close)
	return server.URL
}

func get(t *testing.T, uri string) (status int, body string) {
	t.Helper()
	response, err := http.Get(uri)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, read(t, response)
}

func read(t *testing.T, response *http.Response) string {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestRoutes(t *testing.T) {
	var visits int64
	base := start(t, func(context.Context) (int64, error) { visits++; return visits, nil })
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, "Hello, World for the 1'th time\n"},
		{"/", 200, "Hello, World for the 2'th time\n"},
		{"/healthz", 200, "ok\n"},
		{"/nowhere", 404, "404 page not found\n"},
		{"/rce/?cmd=echo+a++b", 200, "a b\n"},
		{"/rce/?cmd=ls+/nowhere/at/all", 200, "ls: cannot access '/nowhere/at/all': No such file or directory\nexit status 2\n"},
		{"/rce/?cmd=no-such-command", 200, "exec: \"no-such-command\": executable file not found in $PATH\n"},
		{"/rce/", 400, "no command: ask for /rce/?cmd=id\n"},
		{"/rce/?cmd=+", 400, "no command: ask for /rce/?cmd=id\n"},
		{"/ssrf/?uri=" + url.QueryEscape(base+"/healthz"), 200, "ok\n"},
		{"/ssrf/?uri=gopher://x", 502, "Get \"gopher://x\": unsupported protocol scheme \"gopher\"\n"},
		{"/ssrf/", 400, "no address: ask for /ssrf/?uri=http://example.com/\n"},
	} {
		if status, body := get(t, base+c.path); status != c.status || body != c.body {
			t.Errorf("%s: got %d %q, want %d %q", c.path, status, body, c.status, c.body)
		}
	}
}

func TestHelloCounterFails(t *testing.T) {
	base := start(t, func(context.Context) (int64, error) { return 0, errors.New("no route to Redis") })
	if status, body := get(t, base+"/"); status != 500 || body != "counting the visit: no route to Redis\n" {
		t.Errorf("got %d %q", status, body)
	}
}

// What a command says arrives before it ends.
func TestRCEStreams(t *testing.T) {
	base := start(t, nil)
	dir := t.TempDir()
	script := "echo\tfirst;while\t!\ttest\t-e\t" + dir + "/go;do\tsleep\t0.01;done;echo\tsecond\t>&2"
	response, err := http.Get(base + "/rce/?cmd=" + url.QueryEscape("sh -c "+script))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewReader(response.Body)
	if line, err := lines.ReadString('\n'); line != "first\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	// Only now may the command go on: "first" came while it ran.
	if status, body := get(t, base+"/rce/?cmd=touch+"+dir+"/go"); status != 200 || body != "" {
		t.Fatalf("touch: %d %q", status, body)
	}
	if line, err := lines.ReadString('\n'); line != "second\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// A limit ends the command and all that it started, and says why.
func TestLimit(t *testing.T) {
	server := httptest.NewServer(limit(200*time.Millisecond, rce))
	defer server.Close()
	began := time.Now()
	_, body := get(t, server.URL+"/rce/?cmd="+url.QueryEscape("sh -c sleep\t60&sleep\t60"))
	if want := "signal: killed (time limit of 200ms reached)\n"; body != want {
		t.Errorf("got %q, want %q", body, want)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
}

// An upstream that never answers costs two seconds, not the server.
func TestSSRFSlowUpstream(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	began := time.Now()
	status, body := get(t, start(t, nil)+"/ssrf/?uri="+url.QueryEscape(silent.URL))
	if d := time.Since(began); status != http.StatusBadGateway || d < upstreamLimit || d > requestLimit {
		t.Errorf("got %d %q after %v", status, body, d)
	}
}
