package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Time limits on a whole request, from its header to the last byte of the answer.
const (
	commandLimit  = 120 * time.Second // installing a package takes a while
	requestLimit  = 5 * time.Second
	upstreamLimit = 2 * time.Second // on what /ssrf/ fetches
	upstreamBytes = 16 << 20        // of what /ssrf/ fetches
)

// newHandler makes the routes. next gives the number of this visit.
func newHandler(next func(context.Context) (int64, error)) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", limit(requestLimit, hello(next)))
	mux.Handle("GET /rce/", limit(commandLimit, rce))
	mux.Handle("GET /ssrf/", limit(requestLimit, ssrf))
	mux.Handle("GET /healthz", limit(requestLimit, healthz))
	return mux
}

// limit ends a request after d: its context, and the writing of its answer a
// second later, so that there is time to say why.
func limit(d time.Duration, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeoutCause(r.Context(), d, fmt.Errorf("time limit of %v reached", d))
		defer cancel()
		control := http.NewResponseController(w)
		if err := control.SetWriteDeadline(time.Now().Add(d + time.Second)); err != nil {
			log.Print("error: ", err)
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		next(w, r.WithContext(ctx))
	})
}

func hello(next func(context.Context) (int64, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, err := next(r.Context())
		if err != nil {
			log.Print("error: counting the visit: ", err)
			http.Error(w, "counting the visit: "+err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "Hello, World for the %d'th time\n", n)
	}
}

func healthz(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") }

// rce runs a command for whoever asks: the first hole.
func rce(w http.ResponseWriter, r *http.Request) {
	argv := strings.FieldsFunc(r.URL.Query().Get("cmd"), func(c rune) bool { return c == ' ' })
	if len(argv) == 0 {
		http.Error(w, "no command: ask for /rce/?cmd=id", http.StatusBadRequest)
		return
	}
	out := flusher{w, http.NewResponseController(w)}
	cmd := exec.CommandContext(r.Context(), argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = out, out // the same value: one pipe, so the order is kept
	// Its own process group, so that a limit also ends what the command started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // for a daemon that keeps the pipe open
	err := cmd.Run()
	if err != nil && r.Context().Err() != nil {
		err = fmt.Errorf("%w (%w)", err, context.Cause(r.Context()))
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		fmt.Fprintln(out, err)
	}
}

// flusher sends every piece of an answer as it comes. Piece by piece the peer
// sees how far a long command has got.
type flusher struct {
	w       io.Writer
	control *http.ResponseController
}

func (f flusher) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.control.Flush()
	}
	return n, err
}

// upstream makes a new connection for each request, so that what a network
// policy forbids is not reached over an old one.
var upstream = &http.Client{
	Timeout:   upstreamLimit,
	Transport: &http.Transport{DisableKeepAlives: true},
}

// ssrf fetches what it is told from where the server stands: the second hole.
func ssrf(w http.ResponseWriter, r *http.Request) {
	uri := r.URL.Query().Get("uri")
	if uri == "" {
		http.Error(w, "no address: ask for /ssrf/?uri=http://example.com/", http.StatusBadRequest)
		return
	}
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, uri, nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	response, err := upstream.Do(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	if _, err := io.Copy(w, io.LimitReader(response.Body, upstreamBytes)); err != nil {
		log.Print("error: fetching ", uri, ": ", err)
	}
}
