package image

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	digest "github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// How long a registry may keep us waiting. Machines without a network must not
// hang, and neither must a registry that accepts and says nothing.
type patience struct {
	dial, header time.Duration
	read         time.Duration // between two pieces of an answer
}

var defaultPatience = patience{dial: 5 * time.Second, header: 10 * time.Second, read: 30 * time.Second}

// registries asks registries, and asks none again that did not answer.
type registries struct {
	offline bool
	client  http.RoundTripper

	mu   sync.Mutex
	dead map[string]error // by host
}

func newRegistries(o Options, p patience) *registries {
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: p.dial}).DialContext
	}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSHandshakeTimeout:   p.dial,
		ResponseHeaderTimeout: p.header,
		IdleConnTimeout:       p.read,
		MaxIdleConnsPerHost:   8,
		ForceAttemptHTTP2:     true,
	}
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, p.dial)
		defer cancel()
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &impatientConn{c, p.read}, nil
	}
	return &registries{offline: o.Offline, client: secureTransport{t}, dead: map[string]error{}}
}

// An impatientConn gives up on a peer that sends nothing for wait.
type impatientConn struct {
	net.Conn
	wait time.Duration
}

// Read fails with a timeout where nothing comes.
func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.wait)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// secureTransport refuses plain http except to this machine, as docker does.
type secureTransport struct{ http.RoundTripper }

// RoundTrip sends r where it may be sent.
func (t secureTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if host := r.URL.Hostname(); r.URL.Scheme != "https" && host != "localhost" && !net.ParseIP(host).IsLoopback() {
		return nil, fmt.Errorf("refused to speak plain http to %s", host)
	}
	return t.RoundTripper.RoundTrip(r)
}

func (r *registries) options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx),
		remote.WithTransport(r.client),
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}),
		remote.WithRetryBackoff(remote.Backoff{Duration: 300 * time.Millisecond, Factor: 3, Steps: 2}),
		remote.WithUserAgent("road"),
	}
}

// errOffline is why no registry was asked.
var errOffline = errors.New("offline")

// image finds ref in its registry: manifest and config, no layer yet.
func (r *registries) image(ctx context.Context, ref name.Reference, say func(string)) (v1.Image, error) {
	var img v1.Image
	err := r.ask(ctx, ref, say, func(o []remote.Option) error {
		var err error
		if img, err = remote.Image(ref, o...); err == nil {
			_, err = img.RawConfigFile()
		}
		return err
	})
	return img, err
}

// head asks for the digest that ref stands for now.
func (r *registries) head(ctx context.Context, ref name.Reference, say func(string)) (string, error) {
	var d string
	err := r.ask(ctx, ref, say, func(o []remote.Option) error {
		desc, err := remote.Head(ref, o...)
		if err == nil {
			d = desc.Digest.String()
		}
		return err
	})
	return d, err
}

func (r *registries) ask(ctx context.Context, ref name.Reference, say func(string), f func([]remote.Option) error) error {
	if r.offline {
		return errOffline
	}
	host := ref.Context().RegistryStr()
	r.mu.Lock()
	dead := r.dead[host]
	r.mu.Unlock()
	if dead != nil {
		return dead
	}
	err := f(r.options(ctx))
	if err == nil || ctx.Err() != nil || answered(err) {
		return err
	}
	err = &silentError{host, err}
	r.mu.Lock()
	told := r.dead[host] != nil
	r.dead[host] = err
	r.mu.Unlock()
	if !told {
		say(fmt.Sprintf("no answer from the registry %s (%s)", host, lastWords(err)))
	}
	return err
}

// A silentError is a registry that gave no answer.
type silentError struct {
	host string
	err  error
}

func (e *silentError) Error() string { return e.host + ": " + lastWords(e.err) }
func (e *silentError) Unwrap() error { return e.err }

// answered says that the registry itself spoke, whatever it said.
func answered(err error) bool {
	var t *transport.Error
	return errors.As(err, &t) && t.StatusCode < 500 && t.StatusCode != http.StatusTooManyRequests
}

// notFound says that the registry itself has no such image.
func notFound(err error) bool {
	var t *transport.Error
	return errors.As(err, &t) && t.StatusCode == http.StatusNotFound
}

// lastWords is the innermost network error: the rest is URLs.
func lastWords(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return dns.Err
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err.Error()
	}
	s := err.Error()
	if i := strings.LastIndex(s, "\": "); i >= 0 {
		return s[i+3:]
	}
	return s
}

// explain is the error for an image that could not be had in any way.
func (r *registries) explain(ref string, n name.Reference, err error) error {
	host := n.Context().RegistryStr()
	if _, ok := n.(name.Digest); ok && !errors.Is(err, errOffline) {
		return withHint(fmt.Errorf("cannot get image %q: this machine has nothing of that digest, and %s says: %s", ref, host, saying(err)),
			"push what has that digest, or name the image by its tag alone")
	}
	switch {
	case errors.Is(err, errOffline):
		return withHint(fmt.Errorf("cannot get image %q: it is not in the store, and registries are not to be asked", ref), "get it while registries may be asked")
	case answered(err):
		return withHint(fmt.Errorf("cannot get image %q: %s refuses: %s", ref, host, refusal(err)), "check the name and the tag; a private image needs a docker login")
	}
	return withHint(fmt.Errorf("cannot get image %q: no registry answers (tried %s: %s)", ref, host, lastWords(err)),
		"connect this machine to the registry; without one, only Debian's and Ubuntu's images can be made. If it is built here: give the folder that holds its Dockerfile too, or name that in road.yaml (images)")
}

// saying is a registry's refusal, or why it says nothing.
func saying(err error) string {
	if answered(err) {
		return refusal(err)
	}
	return lastWords(err)
}

func refusal(err error) string {
	var t *transport.Error
	if !errors.As(err, &t) {
		return err.Error()
	}
	if len(t.Errors) == 0 {
		return fmt.Sprintf("status %d", t.StatusCode)
	}
	return t.Errors[0].String()
}

func fullDisk(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

func digestOf(hex string) digest.Digest { return digest.NewDigestFromEncoded(digest.SHA256, hex) }
