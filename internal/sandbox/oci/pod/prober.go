package pod

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// firstPoll is how often a startup or readiness probe without initial delay is
// asked until it first succeeds. The kubelet would wait for periodSeconds; this
// only shortens waiting, since the probe must succeed as it must there.
const firstPoll = 20 * time.Millisecond

// probe runs the container's probes until ctx ends. A failed startup or liveness
// probe offers its grace period to unhealthy.
func (c *container) probe(ctx context.Context, a *attempt, unhealthy chan<- int64) {
	if s := c.spec.StartupProbe; s != nil {
		if !c.startup(ctx, a, s, unhealthy) {
			return
		}
	}
	done := make(chan struct{}, 2)
	n := 0
	if r := c.spec.ReadinessProbe; r != nil {
		n++
		go func() {
			c.watch(ctx, a, r, true, func(ok bool) { c.change(func(s *ContainerStatus) { s.Ready = ok }) })
			done <- struct{}{}
		}()
	}
	if l := c.spec.LivenessProbe; l != nil {
		n++
		go func() {
			c.watch(ctx, a, l, false, func(ok bool) {
				if !ok {
					c.p.note("container %s: liveness probe failed: %s", c.spec.Name, c.status().Message)
					offer(unhealthy, c.probeGrace(l))
				}
			})
			done <- struct{}{}
		}()
	}
	for ; n > 0; n-- {
		<-done
	}
}

// startup waits for the startup probe.
func (c *container) startup(ctx context.Context, a *attempt, s *corev1.Probe, unhealthy chan<- int64) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ok := false
	c.watch(ctx, a, s, true, func(good bool) {
		ok = good
		if !good {
			c.p.note("container %s: startup probe failed: %s", c.spec.Name, c.status().Message)
			offer(unhealthy, c.probeGrace(s))
		}
		cancel()
	})
	if ok {
		closeOnce(c.started)
		c.change(func(st *ContainerStatus) { st.Started, st.Ready = true, c.spec.ReadinessProbe == nil })
	}
	return ok
}

func (c *container) probeGrace(p *corev1.Probe) int64 {
	if p.TerminationGracePeriodSeconds != nil {
		return *p.TerminationGracePeriodSeconds
	}
	return c.p.graceSeconds()
}

// watch asks a probe over and over and tells result when its thresholds are
// reached. eager polls fast until the first success.
func (c *container) watch(ctx context.Context, a *attempt, p *corev1.Probe, eager bool, result func(ok bool)) {
	period := seconds(p.PeriodSeconds, 10)
	wait := time.Duration(p.InitialDelaySeconds) * time.Second
	eager = eager && wait == 0
	good, bad, ever := 0, 0, false
	var counted time.Time
	for {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		asked := time.Now()
		err := c.ask(ctx, a, p)
		if ctx.Err() != nil {
			return
		}
		wait = max(period-time.Since(asked), 0)
		if err == nil {
			good, bad, ever = good+1, 0, true
			c.setMessage("")
			if good == times(p.SuccessThreshold, 1) {
				result(true)
			}
			if good < times(p.SuccessThreshold, 1) && eager {
				wait = firstPoll
			}
			continue
		}
		c.setMessage(err.Error())
		// Only one failure in each period counts, so that asking more often does
		// not spend the threshold faster than a kubelet would.
		if !ever && eager {
			wait = firstPoll
			if asked.Sub(counted) < period {
				continue
			}
			counted = asked
		}
		if good, bad = 0, bad+1; bad == times(p.FailureThreshold, 3) {
			result(false)
			bad = 0
		}
	}
}

// setMessage keeps what a probe last said, for those who wait.
func (c *container) setMessage(m string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Phase == Running {
		c.state.Message = m
	}
}

func seconds(n int32, otherwise int64) time.Duration {
	if n > 0 {
		return time.Duration(n) * time.Second
	}
	return time.Duration(otherwise) * time.Second
}

func times(n int32, otherwise int) int {
	if n > 0 {
		return int(n)
	}
	return otherwise
}

// ask does one probe, within its timeout.
func (c *container) ask(ctx context.Context, a *attempt, p *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(p.TimeoutSeconds, 1))
	defer cancel()
	switch {
	case p.Exec != nil:
		out := head{limit: probeOutput}
		code, err := a.execOwn(ctx, p.Exec.Command, &out)
		if err == nil && code != 0 {
			err = fmt.Errorf("%s: exit status %d: %s", strings.Join(p.Exec.Command, " "), code, strings.TrimSpace(out.String()))
		}
		return err
	case p.HTTPGet != nil:
		return c.get(ctx, p.HTTPGet)
	case p.TCPSocket != nil:
		conn, err := c.dial(ctx, p.TCPSocket.Host, p.TCPSocket.Port)
		if err == nil {
			conn.Close()
		}
		return err
	case p.GRPC != nil:
		return c.grpcHealth(ctx, p.GRPC)
	}
	return errors.New("the probe has no action")
}

// port finds a port by number or by its name in the container.
func (c *container) port(p intstr.IntOrString) (string, error) {
	if p.Type == intstr.Int {
		return strconv.Itoa(p.IntValue()), nil
	}
	for _, cp := range c.spec.Ports {
		if cp.Name == p.StrVal {
			return strconv.Itoa(int(cp.ContainerPort)), nil
		}
	}
	if n, err := strconv.Atoi(p.StrVal); err == nil {
		return strconv.Itoa(n), nil
	}
	return "", fmt.Errorf("couldn't find port %q", p.StrVal)
}

func (c *container) dial(ctx context.Context, host string, port intstr.IntOrString) (net.Conn, error) {
	n, err := c.port(port)
	if err != nil {
		return nil, err
	}
	return c.p.o.Dial(ctx, "tcp", net.JoinHostPort(first(host, c.p.o.IP, "127.0.0.1"), n))
}

// get asks a URL as the kubelet does: certificates are not checked, redirects to
// another host are not followed and count as success.
func (c *container) get(ctx context.Context, h *corev1.HTTPGetAction) error {
	port, err := c.port(h.Port)
	if err != nil {
		return err
	}
	u, err := url.Parse(first(h.Path, "/"))
	if err != nil {
		return err
	}
	u.Scheme = strings.ToLower(first(string(h.Scheme), "http"))
	u.Host = net.JoinHostPort(first(h.Host, c.p.o.IP, "127.0.0.1"), port)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "kube-probe/1.37")
	req.Header.Set("Accept", "*/*")
	for _, kv := range h.HTTPHeaders {
		if strings.EqualFold(kv.Name, "Host") {
			req.Host = kv.Value
			continue
		}
		req.Header.Set(kv.Name, kv.Value)
	}
	transport := &http.Transport{
		DialContext: c.p.o.Dial, DisableKeepAlives: true, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Hostname() != via[0].URL.Hostname() || len(via) >= 10 {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	io.CopyN(io.Discard, res.Body, 10<<10)
	if res.StatusCode < 200 || res.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", res.StatusCode)
	}
	return nil
}

func (c *container) grpcHealth(ctx context.Context, g *corev1.GRPCAction) error {
	addr := net.JoinHostPort(first(c.p.o.IP, "127.0.0.1"), strconv.Itoa(int(g.Port)))
	conn, err := grpc.NewClient("passthrough:///"+addr, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent("kube-probe/1.37"),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return c.p.o.Dial(ctx, "tcp", addr) }))
	if err != nil {
		return err
	}
	defer conn.Close()
	res, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: deref(g.Service)})
	if err != nil {
		return err
	}
	if res.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("service unhealthy (responded with %q)", res.Status)
	}
	return nil
}
