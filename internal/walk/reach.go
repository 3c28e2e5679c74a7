package walk

import (
	"context"
	"iter"
	"net"
	"strconv"
	"strings"
	"sync"

	"road/internal/probe"
	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// reachMillis is how long an endpoint is tried: what is denied is dropped, and
// what is not answers in milliseconds.
const reachMillis = 500

// exposed counts where code inside the front can make files, and whom it reaches.
func (w *walker) exposed(ctx context.Context, s *sandbox.Scene, stop *Stop) {
	if s.Foothold == nil {
		return
	}
	var dirs []string
	if s.Foothold.Code(ctx, probe.Writable, probe.Path{Path: "/"}, &dirs) == nil {
		n := len(dirs)
		stop.Figures.WritableDirs = &n
	}
	list, err := w.reach(ctx, s)
	if err != nil {
		return
	}
	n := 0
	for _, e := range list {
		if e.Reached {
			n++
		}
	}
	stop.Figures.ReachableEndpoints, stop.Figures.Endpoints = &n, list
}

// hosts gives the machines around the application that listen for whoever calls.
func hosts(s *sandbox.Scene) iter.Seq2[string, sandbox.Host] {
	return func(yield func(string, sandbox.Host) bool) {
		_ = (s.Attacker == nil || yield("attacker's host", s.Attacker)) && (s.Neighbour == nil || yield("neighbour pod", s.Neighbour))
	}
}

// A door is an endpoint and how it is tried.
type door struct {
	name string
	try  func() error
}

// reach tries every endpoint of a fixed list from inside, all at once: what
// stands around the application, and every TCP port of its Services.
func (w *walker) reach(ctx context.Context, s *sandbox.Scene) ([]Endpoint, error) {
	env := map[string]string{}
	var list []string
	if err := s.Foothold.Code(ctx, probe.Environ, nil, &list); err != nil {
		return nil, err
	}
	for _, e := range list {
		k, v, _ := strings.Cut(e, "=")
		env[k] = v
	}
	dial := func(addr string) func() error {
		return func() error {
			return s.Foothold.Code(ctx, probe.Dial, probe.DialArgs{Addr: addr, Timeout: reachMillis}, nil)
		}
	}
	doors := []door{
		{"metadata service", dial(sandbox.MetadataAddr)},
		{"API server", dial(net.JoinHostPort(env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]))},
		{"cluster DNS", func() error {
			return s.Foothold.Code(ctx, probe.Resolve, probe.ResolveArgs{Name: "kubernetes.default.svc.cluster.local.", Timeout: reachMillis}, nil)
		}},
	}
	for name, h := range hosts(s) {
		l, err := h.Listen(ctx, "tcp4", ":0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		_, port, err := net.SplitHostPort(l.Addr().String())
		if err != nil {
			return nil, err
		}
		doors = append(doors, door{name, dial(net.JoinHostPort(h.Addr(), port))})
	}
	for _, o := range s.App.Objects {
		svc, ok := o.Typed.(*corev1.Service)
		if !ok || s.Services == nil {
			continue
		}
		addr, ok := s.Services(o.Name + "." + o.Home())
		for _, p := range svc.Spec.Ports {
			if ok && (p.Protocol == "" || p.Protocol == corev1.ProtocolTCP) {
				port := strconv.Itoa(int(p.Port))
				doors = append(doors, door{"service " + callName(s.App, o) + ":" + port, dial(net.JoinHostPort(addr, port))})
			}
		}
	}
	out := make([]Endpoint, len(doors))
	var wg sync.WaitGroup
	for i, d := range doors {
		wg.Go(func() { out[i] = Endpoint{d.name, d.try() == nil} })
	}
	wg.Wait()
	return out, ctx.Err()
}
