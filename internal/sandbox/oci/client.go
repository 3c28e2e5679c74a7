package oci

import (
	"context"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"
	"road/internal/sandbox/oci/pod"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// service finds a Service by name: "web", in ns first, or "web.front" as it is
// called from other namespaces.
func (d *deployment) service(name, ns string) *service {
	name, in, qualified := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(name, ".cluster.local"), ".svc"), ".")
	var other *service
	for _, s := range d.services {
		switch {
		case s.name != name || qualified && s.namespace != in:
		case qualified || s.namespace == ns:
			return s
		case other == nil:
			other = s
		}
	}
	return other
}

// place says where a client stands: its namespace and labels.
func (d *deployment) place(o sandbox.ClientOptions) (string, map[string]string, error) {
	ns := "default"
	if len(d.app.Workloads) > 0 {
		ns = d.app.Workloads[0].Home()
	}
	switch {
	case o.Workload != "":
		w := d.app.Workload(o.Workload)
		if w == nil {
			return "", nil, fmt.Errorf("there is no workload %q", o.Workload)
		}
		return w.Home(), w.Meta.Labels, nil
	case o.Namespace != "" || o.Labels != nil:
		if o.Namespace != "" {
			ns = o.Namespace
		}
		return ns, o.Labels, nil
	}
	if s := d.service(o.Service, ns); s != nil {
		if s.ingress {
			in := d.app.Config.Target.Ingress() // as its users have installed it
			return in.Namespace, in.Labels, nil
		}
		ns = s.namespace
	}
	if o.Name == "" {
		o.Name = "user"
	}
	return ns, map[string]string{"road-client": o.Name}, nil
}

// Client gives a legitimate client.
func (d *deployment) Client(_ context.Context, o sandbox.ClientOptions) (sandbox.Client, error) {
	ns, labels, err := d.place(o)
	if err != nil {
		return nil, err
	}
	end, err := d.e.net.Attach(network.AttachOptions{Name: fmt.Sprintf("c%d", d.e.next()), Namespace: ns, Labels: labels, Group: d.group})
	if err != nil {
		return nil, err
	}
	return &client{end, d}, nil
}

// A client dials from its endpoint. A Service's bare name means the
// application's Service also from another namespace, where a pod would have to
// write the namespace behind it, as the ingress controller does.
type client struct {
	*network.Endpoint
	d *deployment
}

// DialContext connects to "service:port" or any other address.
func (c *client) DialContext(ctx context.Context, netw, addr string) (net.Conn, error) {
	if host, port, err := net.SplitHostPort(addr); err == nil {
		if s := c.d.service(host, c.Namespace); s != nil {
			addr = net.JoinHostPort(s.dnsName(), port)
		}
	}
	return c.Endpoint.DialContext(ctx, netw, addr)
}

// RunPod runs a client program to its end, in a pod that is not part of the
// application.
func (d *deployment) RunPod(ctx context.Context, o sandbox.PodOptions) (sandbox.Output, error) {
	ns, labels, err := d.place(o.Client)
	if err != nil {
		return sandbox.Output{}, err
	}
	im, err := d.firstImage(o.Image)
	if err != nil {
		return sandbox.Output{}, err
	}
	// The container waits for the program, which is run beside it: so what it
	// prints to each of its outputs can be told apart.
	w := &app.Workload{
		Object: &app.Object{Kind: "Pod", Name: "client", Namespace: ns},
		Meta:   &metav1.ObjectMeta{Labels: maps.Clone(labels)},
		Pod: &corev1.PodSpec{
			AutomountServiceAccountToken: new(bool),
			RestartPolicy:                corev1.RestartPolicyNever,
			Containers:                   []corev1.Container{{Name: "client", Image: o.Image, Command: []string{pod.ProbeDestination, "hold"}, Env: o.Env}},
		},
	}
	m, err := d.start(ctx, w, 0, memberOptions{name: fmt.Sprintf("client-%d", d.e.next()), image: im})
	if err != nil {
		return sandbox.Output{}, err
	}
	defer m.close(0)
	if err := m.pod.Ready(ctx); err != nil {
		return sandbox.Output{}, fmt.Errorf("the client's pod: %w", err)
	}
	return m.pod.Run(ctx, "client", o.Command)
}

// firstImage finds an image as it was prepared first, by reference or by name.
func (d *deployment) firstImage(ref string) (*image.Image, error) {
	d.e.mu.Lock()
	defer d.e.mu.Unlock()
	if im := d.e.first[ref]; im != nil {
		return im, nil
	}
	for _, im := range d.app.Images {
		if im.Ref == ref && d.e.first[im.Name] != nil {
			return d.e.first[im.Name], nil
		}
	}
	return nil, fmt.Errorf("%q is not an image of the application (%v are)", ref, slices.Sorted(maps.Keys(d.e.first)))
}

// Front gives the way in for users: the Service with the command hole, else one
// behind an Ingress, else the first with pods behind it.
func (d *deployment) Front() (string, int) {
	if h := d.app.Config.Foothold.Command; h != nil {
		return h.Service, h.Port
	}
	if h := d.app.Config.Foothold.Request; h != nil {
		return h.Service, h.Port
	}
	for _, wantIngress := range []bool{true, false} {
		for _, s := range d.services {
			if s.ingress != wantIngress || len(s.spec.Ports) == 0 {
				continue
			}
			for _, w := range d.app.Workloads {
				if s.selects(w) {
					return s.name, int(s.spec.Ports[0].Port)
				}
			}
		}
	}
	return "", 0
}

// Publish forwards a loopback address of the host to a Service, along the
// users' path.
func (d *deployment) Publish(ctx context.Context, addr, name string, port int) (net.Addr, error) {
	s := d.service(name, "default")
	if s == nil {
		return nil, fmt.Errorf("there is no service %q", name)
	}
	ns, labels, err := d.place(sandbox.ClientOptions{Service: name})
	if err != nil {
		return nil, err
	}
	end, err := d.e.net.Attach(network.AttachOptions{Name: fmt.Sprintf("c%d", d.e.next()), Namespace: ns, Labels: labels, Group: d.group})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.clients = append(d.clients, end)
	d.mu.Unlock()
	target := net.JoinHostPort(s.dnsName(), strconv.Itoa(port))
	l, err := d.e.net.Publish(ctx, addr, func(ctx context.Context) (net.Conn, error) {
		return end.DialContext(ctx, "tcp", target)
	})
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.published = append(d.published, l)
	d.mu.Unlock()
	return l.Addr(), nil
}

// follow keeps the Services' backends what the pods' readiness says, until the
// deployment ends.
func (d *deployment) follow() {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
			// An error here shows in the clients' requests; Ready reports its own.
			_ = d.setBackends()
		}
	}
}

// setBackends leads every Service to the ready pods that it selects.
func (d *deployment) setBackends() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx.Err() != nil {
		return d.ctx.Err()
	}
	for _, s := range d.services {
		var backends []network.Backend
		for _, m := range d.members {
			if !s.leadsTo(m) || !(m.pod.IsReady() || s.spec.PublishNotReadyAddresses) {
				continue
			}
			backends = append(backends, s.backend(m))
		}
		if reflect.DeepEqual(backends, s.backends) {
			continue
		}
		if _, err := d.e.net.SetService(s.namespace, s.name, s.options(d.group, backends)); err != nil {
			return err
		}
		s.backends = backends
	}
	return nil
}
