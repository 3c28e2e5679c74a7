package oci

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"road/internal/app"
	"road/internal/image"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"
	"road/internal/sandbox/oci/pod"

	corev1 "k8s.io/api/core/v1"
)

// bodyLimit is how much of an answer to an attack is kept: apt-get's output is
// a few dozen KiB.
const bodyLimit = 4 << 20

// foothold is how an attacker acts in one container of a pod: through the app's
// holes, from where users are, and through the probe.
type foothold struct {
	d         *deployment
	p         *member
	container string

	mu    sync.Mutex
	agent *probe.Client // started by the first Code
	as    string        // who the agent is, where that is not who the manifest says
	under string        // what else the agent runs under than the app does
	from  sandbox.Client
}

var _ sandbox.Foothold = (*foothold)(nil)

// Command runs argv through the app's hole of this very pod.
func (f *foothold) Command(ctx context.Context, argv ...string) (string, error) {
	hole := f.d.app.Config.Foothold.Command
	return f.ask(ctx, hole, "{command}", strings.Join(argv, " "))
}

// Request has the app in this very pod fetch uri.
func (f *foothold) Request(ctx context.Context, uri string) (string, error) {
	return f.ask(ctx, f.d.app.Config.Foothold.Request, "{uri}", uri)
}

// ask sends value through a hole. The service is not asked, because it would
// choose any of its pods; the client is the one that users of the service are.
func (f *foothold) ask(ctx context.Context, hole *app.Hole, name, value string) (string, error) {
	if hole == nil {
		return "", sandbox.ErrNoHole
	}
	addr, err := f.d.behind(hole.Service, hole.Port, f.p)
	if err != nil {
		return "", err
	}
	client, err := f.client(ctx, hole.Service)
	if err != nil {
		return "", err
	}
	web := &http.Client{Transport: &http.Transport{DialContext: client.DialContext, DisableKeepAlives: true}}
	path := strings.ReplaceAll(hole.Path, name, url.QueryEscape(value))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return "", err
	}
	resp, err := web.Do(req)
	if err != nil {
		return "", fmt.Errorf("the hole could not be reached: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return string(body), fmt.Errorf("the hole stopped answering: %w", err)
	}
	// A fault of the server's may be its word about what it was made to do; a
	// refusal of the request is none.
	if resp.StatusCode >= 400 && resp.StatusCode < 500 {
		return "", fmt.Errorf("the hole refuses the request: %s", resp.Status)
	}
	return string(body), nil
}

func (f *foothold) client(ctx context.Context, service string) (sandbox.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.from == nil {
		c, err := f.d.Client(ctx, sandbox.ClientOptions{Service: service})
		if err != nil {
			return nil, err
		}
		f.from = c
	}
	return f.from, nil
}

// Code asks the probe inside the container.
func (f *foothold) Code(ctx context.Context, verb string, args, into any) error {
	f.mu.Lock()
	agent := f.agent
	if agent == nil {
		stream, err := f.start(context.WithoutCancel(ctx))
		if err == nil {
			agent, err = probe.NewClient(stream)
		}
		if err != nil {
			f.mu.Unlock()
			return fmt.Errorf("the probe could not start: %w", err)
		}
		f.agent, f.as = agent, stream.As
	}
	f.mu.Unlock()
	err := agent.Do(ctx, verb, args, into)
	if errors.Is(err, probe.ErrEnded) {
		f.forget(agent)
	}
	return err
}

// codeAs says who the agent is, or was when there last was one.
func (f *foothold) codeAs() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.as
}

// forget lets the next Code start another probe: the one that ended was killed,
// with its container or alone.
func (f *foothold) forget(agent *probe.Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.agent == agent {
		f.agent = nil
		agent.Close()
	}
}

// close ends the probe and the way in.
func (f *foothold) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	if f.agent != nil {
		errs = append(errs, f.agent.Close())
	}
	if f.from != nil {
		errs = append(errs, f.from.Close())
	}
	f.agent, f.from = nil, nil
	return errors.Join(errs...)
}

// behind gives the address of pod m for a port of a service.
func (d *deployment) behind(name string, port int, m *member) (string, error) {
	s := d.service(name, m.workload.Home())
	if s == nil {
		return "", fmt.Errorf("there is no service %q", name)
	}
	if !s.leadsTo(m) {
		return "", sandbox.ErrNoHole // the hole is another workload's
	}
	sp, ok := s.port(port)
	if !ok {
		return "", fmt.Errorf("service %q has no port %d", name, port)
	}
	target, err := targetPort(sp, m.workload.Pod)
	if err != nil {
		return "", fmt.Errorf("service %q: %w", name, err)
	}
	return net.JoinHostPort(m.end.Addr(), strconv.Itoa(target)), nil
}

// Scene sets up an attack on one container.
func (d *deployment) Scene(ctx context.Context, t sandbox.Target, fresh bool, mods ...func(*corev1.PodSpec)) (*sandbox.Scene, error) {
	w := d.app.Workload(t.Workload)
	if w == nil {
		return nil, fmt.Errorf("there is no workload %q", t.Workload)
	}
	if err := d.attacked(); err != nil {
		return nil, err
	}
	if w.Finite() {
		// Its pod has ended by now. The same pod is held in the middle of its work.
		fresh, mods = true, append(mods, hold)
	}
	if !fresh && len(mods) == 0 {
		if ms := d.of(w.ID()); len(ms) > 0 {
			return d.scene(ctx, ms[0], t, false)
		}
		return nil, fmt.Errorf("%s has no pod", w.ID())
	}
	m, err := d.freshPod(ctx, w, mods)
	if err != nil {
		return nil, err
	}
	return d.scene(ctx, m, t, true)
}

// holdAlone has a pod do nothing at all: what would run before its containers does
// not, because somebody else may have changed its users, and its sidecars only are
// there, as its containers.
func holdAlone(spec *corev1.PodSpec) {
	spec.InitContainers = slices.DeleteFunc(spec.InitContainers, func(c corev1.Container) bool { return !sidecar(&c) })
	holdEach(spec.InitContainers)
	hold(spec)
}

// hold has the containers of a pod do nothing, as the users that they are. What
// init containers do for them is done: they see what the workload's own would.
func hold(spec *corev1.PodSpec) { holdEach(spec.Containers) }

func holdEach(list []corev1.Container) {
	for i := range list {
		c := &list[i]
		c.Command, c.Args = []string{pod.ProbeDestination, "hold"}, nil
		c.StartupProbe, c.ReadinessProbe, c.LivenessProbe, c.Lifecycle = nil, nil, nil, nil
	}
}

// freshPod starts a pod of its own from the workload's spec. No Service leads to
// it; its labels are the workload's, so every policy holds for it. It works on a
// copy of the claims: two servers on one volume would destroy it.
func (d *deployment) freshPod(ctx context.Context, w *app.Workload, mods []func(*corev1.PodSpec)) (*member, error) {
	spec := w.Pod.DeepCopy()
	for _, mod := range mods {
		mod(spec)
	}
	m, err := d.own(ctx, w, memberOptions{spec: spec})
	if err != nil {
		return nil, err
	}
	m.held = w.Finite()
	if err := d.memberReady(ctx, m); err != nil {
		return nil, errors.Join(err, m.close(0))
	}
	return m, nil
}

// replica starts one more pod of the workload from the given images; it does not
// wait for it, and no Service leads to it.
func (d *deployment) replica(ctx context.Context, w *app.Workload, images map[string]*image.Image) (*member, error) {
	return d.own(ctx, w, memberOptions{spec: w.Pod.DeepCopy(), images: images})
}

// own starts a pod on a copy of the claims.
func (d *deployment) own(ctx context.Context, w *app.Workload, o memberOptions) (*member, error) {
	claims, spec := d.claims, o.spec
	if len(claimTemplates(w)) > 0 || usesClaims(spec) {
		claims = filepath.Join(d.e.w.Disk, "claims", fmt.Sprintf("copy-%d", d.e.next()))
		if err := copyLive(ctx, d.claims, claims); err != nil {
			return nil, errors.Join(err, os.RemoveAll(claims))
		}
	}
	o.claims = claims
	m, err := d.start(ctx, w, 0, o)
	if err != nil && claims != d.claims {
		err = errors.Join(err, os.RemoveAll(claims))
	}
	if err != nil {
		return nil, err
	}
	if claims != d.claims {
		m.copied = claims
	}
	return m, nil
}

// copyLive copies what a server works on: a file that it renames meanwhile makes
// the copy fail, and the next one, a little later each time, most likely not.
func copyLive(ctx context.Context, from, to string) (err error) {
	for i := range 6 {
		if i > 0 {
			time.Sleep(10 * time.Millisecond << i)
		}
		if err = copyTree(ctx, from, to); err == nil || ctx.Err() != nil {
			return err
		}
		if rerr := os.RemoveAll(to); rerr != nil {
			return errors.Join(err, rerr)
		}
	}
	return err
}

func usesClaims(spec *corev1.PodSpec) bool {
	return slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.PersistentVolumeClaim != nil })
}

// scene puts together what an attack on a pod sees. own says that the pod ends
// with the scene.
func (d *deployment) scene(ctx context.Context, m *member, t sandbox.Target, own bool) (*sandbox.Scene, error) {
	neighbour, err := d.neighbourIn(m.workload.Home())
	if err != nil {
		return nil, err
	}
	node, err := m.pod.Node(t.Container)
	if err != nil {
		return nil, err
	}
	f := &foothold{d: d, p: m, container: t.Container}
	s := &sandbox.Scene{
		App: d.app, Target: t, Foothold: f, Node: node, Attacker: d.e.attacker, Neighbour: neighbour,
		Control: control{d.e.around, m.end.IP, time.Now(), d, m.workload.Home()}, Registry: &source{d, m.workload, t}, Addr: m.end.Addr(),
		Under: f.runsUnder, Volume: pod.ScratchDestination, Plant: m.plant(d.e.o.Probe), Favour: func() (func() error, error) { return d.e.w.Favour(m.pod.Cgroup()) },
		Fresh: func(ctx context.Context, mods ...func(*corev1.PodSpec)) (*sandbox.Scene, error) {
			return d.Scene(ctx, t, true, mods...)
		},
		CodeAs: f.codeAs, Hold: holdAlone,
		Services: func(name string) (string, bool) {
			if s := d.service(name, m.workload.Home()); s != nil && s.addr.IsValid() {
				return s.addr.String(), true
			}
			return "", false
		},
		Close: func() error {
			err := f.close()
			if own {
				err = errors.Join(err, m.close(0))
			}
			return err
		},
	}
	return s, nil
}

// neighbourIn gives the pod that stands beside the application's own in a
// namespace: one for the deployment, started when it is first wanted.
func (d *deployment) neighbourIn(namespace string) (*network.Endpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := d.neighbours[namespace]; n != nil {
		return n, nil
	}
	n, err := d.e.net.Attach(network.AttachOptions{Name: fmt.Sprintf("n%d", d.e.next()), Namespace: namespace, Labels: map[string]string{"app": "neighbour"}, Group: d.group})
	if err != nil {
		return nil, err
	}
	if d.neighbours == nil {
		d.neighbours = map[string]*network.Endpoint{}
	}
	d.neighbours[namespace] = n
	return n, nil
}
