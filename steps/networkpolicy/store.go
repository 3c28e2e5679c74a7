package networkpolicy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// A store is a data store of the application's that speaks the Redis protocol.
type store struct {
	name string // its Service's, complete
	host string // its Service's address
	port int
}

// findStore looks for a data store by its port, or by what its Service is called.
func findStore(s *sandbox.Scene) (store, error) {
	for _, o := range s.App.Objects {
		svc, ok := o.Typed.(*corev1.Service)
		if !ok || len(svc.Spec.Ports) == 0 {
			continue
		}
		for _, p := range svc.Spec.Ports {
			named := containsAny(o.Name+" "+p.Name, "redis", "valkey", "keydb")
			if protocolOf(p.Protocol) != "TCP" || p.Port != 6379 && !named {
				continue
			}
			st := store{fmt.Sprintf("%s.%s.svc.cluster.local", o.Name, o.Home()), "", int(p.Port)}
			st.host, _ = s.Services(o.Name + "." + o.Home())
			return st, nil
		}
	}
	return store{}, errors.New("the application has no data store that road can talk to (a Service on port 6379, or called redis or valkey)")
}

// passwords finds what looks like one in the environment of the attacked
// container, which whoever runs code there has.
func passwords(ctx context.Context, s *sandbox.Scene) ([]string, error) {
	env, err := environ(ctx, s)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, k := range sortedKeys(env) {
		if containsAny(k, "pass", "pwd", "secret", "token", "auth") && env[k] != "" && !slices.Contains(found, env[k]) {
			found = append(found, env[k])
		}
	}
	return found, nil
}

func containsAny(s string, parts ...string) bool {
	s = strings.ToLower(s)
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}

// redisFromAStranger steals the password in the container and uses it in another
// pod.
func redisFromAStranger(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	st, err := findStore(s)
	if err != nil {
		return step.Outcome{}, err
	}
	stolen, err := passwords(ctx, s)
	if err != nil {
		return step.Outcome{}, err
	}
	addr := net.JoinHostPort(st.name, strconv.Itoa(st.port))
	do := func(send []byte) ([]byte, error) { return talk(ctx, s.Neighbour, addr, send) }
	changed, err := change(stolen, do)
	var name *net.DNSError
	if errors.As(err, &name) && ctx.Err() == nil && st.host != "" {
		// Where the whole namespace is denied he can ask for no name. The address
		// he may know: it stands in the environment of pods that want it.
		addr = net.JoinHostPort(st.host, strconv.Itoa(st.port))
		changed, err = change(stolen, do)
	}
	if err != nil {
		return unreached(ctx, addr, err)
	}
	return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("from a neighbour, with the stolen password, %s: %s", addr, changed)}, nil
}

// unreached is the outcome of an attack on a data store that failed: blocked
// where no connection came about, or the kernel refused to make one.
func unreached(ctx context.Context, addr string, err error) (step.Outcome, error) {
	if ctx.Err() != nil {
		return step.Outcome{}, ctx.Err()
	}
	if isSilence(err) || step.Denied(err) != "" {
		return dropped(err, "no connection to the data store at "+addr)
	}
	return step.Outcome{}, fmt.Errorf("%s: %w", addr, err)
}

// redisFromTheApp does the same from inside the container, whose connection it is.
func redisFromTheApp(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	st, err := findStore(s)
	if err != nil {
		return step.Outcome{}, err
	}
	if st.host == "" {
		return step.Outcome{}, fmt.Errorf("the data store %s has no address of its own", st.name)
	}
	stolen, err := passwords(ctx, s)
	if err != nil {
		return step.Outcome{}, err
	}
	addr := net.JoinHostPort(st.host, strconv.Itoa(st.port))
	changed, err := change(stolen, func(send []byte) ([]byte, error) {
		var r probe.DialResult
		err := s.Foothold.Code(ctx, probe.Dial, probe.DialArgs{Addr: addr, Send: send, Expect: -1, Timeout: int(patience / time.Millisecond)}, &r)
		return r.Data, err
	})
	if err != nil {
		return unreached(ctx, addr, err)
	}
	return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("from the application itself, with its own password, %s: %s", addr, changed)}, nil
}

// patience is how long a data store that took the connection may take to answer:
// no policy lets a connection come about and then drops it.
const patience = 5 * quiet

// talk sends what is to be sent and reads until the other side hangs up.
func talk(ctx context.Context, from sandbox.Host, addr string, send []byte) ([]byte, error) {
	var c net.Conn
	var err error
	for range tries { // a busy machine may take longer for the name alone
		c, err = call(ctx, from, addr)
		var name *net.DNSError
		if !errors.As(err, &name) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := c.Write(send); err != nil {
		return nil, fmt.Errorf("connected, and then: %v", err)
	}
	b, err := io.ReadAll(io.LimitReader(c, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("connected, and then: %v", err)
	}
	return b, nil
}
