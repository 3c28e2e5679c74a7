package walk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"road/internal/app"
	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// anyStatus stands in HTTPCheck.Status of an inferred check: every answer will do.
const anyStatus = -1

// onceLimit is how long one request of a check may take, podLimit one client's
// pod, which has to start first. A check is tried twice at least: on a busy host
// the time may be over before the application was asked.
const (
	onceLimit = 15 * time.Second
	podLimit  = 60 * time.Second
	leastTry  = 2
)

// A checker asks a running application whether it works, as its legitimate
// clients do.
type checker struct {
	app    *app.App
	dep    sandbox.Deployment
	refs   map[string]string // image name to its Ref at 1.0: the client is not what is hardened
	mask   *masker
	settle time.Duration
}

// inferred gives the checks of an application whose road.yaml names none: every
// Service port answers. That every pod is ready has been seen before.
func inferred(a *app.App) []app.Check {
	var out []app.Check
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Service)
		name := callName(a, o)
		if !ok || s.Spec.Type == corev1.ServiceTypeExternalName || len(behind(a, name)) == 0 {
			continue
		}
		for _, p := range s.Spec.Ports {
			if p.Protocol != "" && p.Protocol != corev1.ProtocolTCP {
				continue
			}
			c := app.Check{Name: fmt.Sprintf("%s:%d answers", name, p.Port)}
			if looksLikeHTTP(p) {
				c.HTTP = &app.HTTPCheck{Service: name, Port: int(p.Port), Path: "/", Status: anyStatus}
			} else {
				c.TCP = &app.TCPCheck{Service: name, Port: int(p.Port)}
			}
			c.From.Workload = caller(a, o, s, p)
			out = append(out, c)
		}
	}
	return out
}

func looksLikeHTTP(p corev1.ServicePort) bool {
	if p.AppProtocol != nil {
		return *p.AppProtocol == "http"
	}
	switch p.Port {
	case 80, 8000, 8080:
		return true
	}
	return p.Name == "http" || strings.HasPrefix(p.Name, "http-") || p.Name == "web"
}

// callName is what a client calls a Service of the application: by its name, with
// its namespace where another has one of the same name.
func callName(a *app.App, o *app.Object) string {
	for _, other := range a.Objects {
		if other.Kind == o.Kind && other.Name == o.Name && other.Home() != o.Home() {
			return o.Name + "." + o.Home()
		}
	}
	return o.Name
}

// serviceOf finds the Service that a check or a hole names: "web", that of the
// first workload's namespace where several have one, or "web.front".
func serviceOf(a *app.App, service string) (found *app.Object, spec *corev1.ServiceSpec) {
	name, ns, qualified := strings.Cut(strings.TrimSuffix(strings.TrimSuffix(service, ".cluster.local"), ".svc"), ".")
	if !qualified && len(a.Workloads) > 0 {
		ns = a.Workloads[0].Home()
	}
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Service)
		switch {
		case !ok || o.Name != name || qualified && o.Home() != ns:
		case o.Home() == ns:
			return o, &s.Spec
		case found == nil:
			found, spec = o, &s.Spec
		}
	}
	return found, spec
}

// behind gives the workloads whose pods a Service selects.
func behind(a *app.App, service string) []*app.Workload {
	o, s := serviceOf(a, service)
	if o == nil {
		return nil
	}
	var out []*app.Workload
	for _, w := range a.Workloads {
		if w.Meta != nil && w.Home() == o.Home() && app.Selects(s.Selector, w.Meta.Labels) {
			out = append(out, w)
		}
	}
	return out
}

// run does one check, again and again until it passes or the time to settle is
// over: endpoints and connections need a moment after a start.
func (c *checker) run(ctx context.Context, check app.Check) CheckResult {
	res := CheckResult{Name: check.Name}
	before, err := c.restart(ctx, check)
	if err != nil {
		res.Detail = c.mask.line(err.Error())
		return res
	}
	end := time.Now().Add(c.settle)
	for try := 1; ; try++ {
		detail, err := c.once(ctx, check, before)
		if err == nil {
			res.OK, res.Detail = true, c.mask.line(detail)
			return res
		}
		res.Detail = c.mask.line(err.Error())
		var final *finalError
		if ctx.Err() != nil || errors.As(err, &final) || time.Now().After(end) && try >= leastTry {
			return res
		}
		select {
		case <-ctx.Done():
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// A finalError is a failure that trying again cannot mend.
type finalError struct{ error }

// restart makes the check's workload anew. Where the check wants a number that
// increases, it is read before, so that what the restart lost shows.
func (c *checker) restart(ctx context.Context, check app.Check) (before string, err error) {
	if check.Restart == "" {
		return "", nil
	}
	w := c.app.Workload(check.Restart)
	if w == nil {
		return "", fmt.Errorf("road.yaml:%d: no workload %q to restart", check.Line, check.Restart)
	}
	if check.Increases {
		end := time.Now().Add(c.settle)
		for {
			if before, err = c.number(ctx, check); err == nil || ctx.Err() != nil || time.Now().After(end) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			return "", fmt.Errorf("before the restart of %s: %w", w.ID(), err)
		}
	}
	if err := c.dep.Restart(ctx, w.ID()); err != nil {
		return "", fmt.Errorf("restart %s: %w", w.ID(), err)
	}
	return before, nil
}

func (c *checker) once(ctx context.Context, check app.Check, before string) (string, error) {
	if !check.Increases {
		said, _, err := c.ask(ctx, check)
		return said, err
	}
	first, err := before, error(nil)
	if first == "" {
		if first, err = c.number(ctx, check); err != nil {
			return "", err
		}
	}
	said, groups, err := c.ask(ctx, check)
	if err != nil {
		return "", err
	}
	second, err := firstNumber(said, groups)
	if err != nil {
		return "", err
	}
	x, errX := strconv.ParseFloat(first, 64)
	y, errY := strconv.ParseFloat(second, 64)
	if err := errors.Join(errX, errY); err != nil {
		return "", &finalError{err}
	}
	how := "then"
	if check.Restart != "" {
		how = "after the restart of " + check.Restart
	}
	if y <= x {
		return "", fmt.Errorf("%s does not increase: %s, %s %s", said, first, how, second)
	}
	return fmt.Sprintf("%s (%s, %s %s)", said, first, how, second), nil
}

// number asks once and gives the number in the answer.
func (c *checker) number(ctx context.Context, check app.Check) (string, error) {
	said, groups, err := c.ask(ctx, check)
	if err != nil {
		return "", err
	}
	return firstNumber(said, groups)
}

func firstNumber(said string, groups []string) (string, error) {
	if len(groups) < 2 {
		return "", &finalError{fmt.Errorf("increases: the pattern has no group that holds the number in %q", said)}
	}
	return groups[1], nil
}

// ask asks once, and gives the answer in short and the groups of the pattern.
func (c *checker) ask(ctx context.Context, check app.Check) (said string, groups []string, err error) {
	limit := onceLimit
	if check.Pod != nil {
		limit = podLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	switch {
	case check.HTTP != nil:
		return c.http(ctx, check)
	case check.TCP != nil:
		return c.tcp(ctx, check)
	case check.Pod != nil:
		return c.pod(ctx, check)
	}
	return "", nil, &finalError{errors.New("the check asks nothing")}
}

func (c *checker) from(check app.Check, service string) sandbox.ClientOptions {
	return sandbox.ClientOptions{Service: service, Name: label(check.Name), Workload: check.From.Workload,
		Namespace: check.From.Namespace, Labels: check.From.Labels}
}

var noLabel = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// label makes a valid label value of a check's name.
func label(name string) string {
	s := noLabel.ReplaceAllString(name, "-")
	if len(s) > 63 {
		s = s[:63]
	}
	return strings.Trim(s, "-_.")
}

func (c *checker) http(ctx context.Context, check app.Check) (string, []string, error) {
	h := check.HTTP
	client, err := c.dep.Client(ctx, c.from(check, h.Service))
	if err != nil {
		return "", nil, err
	}
	defer client.Close()
	hc := http.Client{
		Transport:     &http.Transport{DialContext: client.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	path := h.Path
	if path == "" {
		path = "/"
	}
	url := "http://" + net.JoinHostPort(h.Service, strconv.Itoa(h.Port)) + path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", nil, &finalError{err}
	}
	resp, err := hc.Do(req)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return "", nil, err
	}
	want := h.Status
	if want == 0 {
		want = http.StatusOK
	}
	if want != anyStatus && resp.StatusCode != want {
		return "", nil, fmt.Errorf("%s answers %s: %s", url, resp.Status, c.short(string(body)))
	}
	if h.Body == "" {
		return resp.Status, nil, nil
	}
	return c.match(h.Body, string(body))
}

func (c *checker) tcp(ctx context.Context, check app.Check) (string, []string, error) {
	t := check.TCP
	client, err := c.dep.Client(ctx, c.from(check, t.Service))
	if err != nil {
		return "", nil, err
	}
	defer client.Close()
	conn, err := client.DialContext(ctx, "tcp", net.JoinHostPort(t.Service, strconv.Itoa(t.Port)))
	if err != nil {
		return "", nil, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if t.Send != "" {
		if _, err := io.WriteString(conn, t.Send); err != nil {
			return "", nil, err
		}
	}
	if t.Expect == "" {
		return "connected", nil, nil
	}
	return c.expect(conn, t.Expect)
}

// expect reads until the pattern matches or the other side has said enough.
func (c *checker) expect(r io.Reader, pattern string) (string, []string, error) {
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		said, groups, noMatch := c.match(pattern, string(got))
		if noMatch == nil {
			return said, groups, nil
		}
		if err != nil || len(got) > 1<<20 {
			return "", nil, noMatch
		}
	}
}

func (c *checker) pod(ctx context.Context, check app.Check) (string, []string, error) {
	p := check.Pod
	ref, ok := c.refs[p.Image]
	if !ok {
		return "", nil, &finalError{fmt.Errorf("road.yaml:%d: no workload uses an image %q, and images: names none", check.Line, p.Image)}
	}
	out, err := c.dep.RunPod(ctx, sandbox.PodOptions{Client: c.from(check, ""), Image: ref, Command: p.Command, Env: environment(p.Env)})
	if err != nil {
		return "", nil, err
	}
	if out.Status != 0 {
		return "", nil, fmt.Errorf("%s: exit status %d: %s", strings.Join(p.Command, " "), out.Status, c.short(out.Stderr+out.Stdout))
	}
	if p.Stdout == "" {
		return "exit status 0", nil, nil
	}
	return c.match(p.Stdout, out.Stdout)
}

func environment(env map[string]app.EnvValue) []corev1.EnvVar {
	var out []corev1.EnvVar
	for name, v := range env {
		e := corev1.EnvVar{Name: name, Value: v.Value}
		if v.Secret != "" {
			e.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: v.Secret}, Key: v.Key}}
		}
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out
}

// match finds pattern in text. What it gives as said is what matched.
func (c *checker) match(pattern, text string) (string, []string, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return "", nil, &finalError{err}
	}
	groups := re.FindStringSubmatch(text)
	if groups == nil {
		return "", nil, fmt.Errorf("%q does not match %q", c.short(text), pattern)
	}
	return c.short(groups[0]), groups, nil
}

// short cuts an answer to what fits a line. Secrets go first: half of one would
// not be known again.
func (c *checker) short(s string) string {
	s = strings.TrimSpace(c.mask.text(s))
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "..."
	}
	return s
}
