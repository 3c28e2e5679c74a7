package networkpolicy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// scanNeighbours calls the neighbour's port and every port of the application's
// Services, side by side. What the pod was seen to need is no find: the policy
// lets it through. Whether the neighbour was called is the neighbour's to say.
func scanNeighbours(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	l, err := s.Neighbour.Listen(ctx, "tcp4", ":0")
	if err != nil {
		return step.Outcome{}, err
	}
	defer l.Close()
	targets := append(strangers(s), place{"a neighbour", net.JoinHostPort(s.Neighbour.Addr(), portOf(l.Addr())), ""})
	last := len(targets) - 1
	word := "knock " + token()
	heard := hear(l)
	errs := make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		args := probe.DialArgs{Addr: t.addr, Timeout: millis}
		if i == last {
			args.Send = []byte(word)
		}
		wg.Go(func() { errs[i] = s.Foothold.Code(ctx, probe.Dial, args, nil) })
	}
	wg.Wait()
	targets[last].caller, errs[last] = knocked(ctx, heard, word, errs[last])
	return judgeScan(targets, errs)
}

// knocked says who called the neighbour, or why nobody is known to have: err is
// what the caller says of its call.
func knocked(ctx context.Context, heard <-chan line, word string, err error) (caller string, _ error) {
	wait := quiet / 5 // after the time that the call took
	if err == nil {
		wait = patience // it was sent, so it comes
	}
	select {
	case got := <-heard:
		if got.text == word {
			return got.from, nil
		}
		return "", fmt.Errorf("the neighbour heard %q from %s", got.text, got.from)
	case <-time.After(wait):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if err == nil {
		return "", errors.New("the neighbour took the call, they say, and heard nothing")
	}
	return "", err
}

// judgeScan says what the answers to a scan mean: one is enough, and blocked are
// only calls that got none or could not be made.
func judgeScan(targets []place, errs []error) (step.Outcome, error) {
	var answered, silent []string
	var other error
	for i, t := range targets {
		switch {
		case errs[i] == nil:
			answered = append(answered, t.answers())
		case isSilence(errs[i]) || step.Denied(errs[i]) != "":
			silent = append(silent, errs[i].Error())
		default:
			other = errors.Join(other, errs[i])
		}
	}
	switch {
	case len(answered) > 0:
		return step.Outcome{Verdict: step.Succeeded, Evidence: strings.Join(answered, "\n")}, nil
	case other != nil:
		return step.Outcome{}, other
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(silent, "\n")}, nil
}

// A place is something to call.
type place struct {
	what, addr string
	caller     string // whom it says that it was called by, where it is ours to ask
}

// answers is what there is to say of one that does.
func (p place) answers() string {
	if p.caller != "" {
		return p.String() + " was called from " + p.caller
	}
	return p.String() + " answers"
}

// String gives "service redis at 10.96.0.11:6379".
func (p place) String() string { return p.what + " at " + p.addr }

// strangers gives the ports of the application's Services that the attacked pod
// was not seen to call and does not stand behind itself.
func strangers(s *sandbox.Scene) []place {
	self := s.App.Workload(s.Target.Workload)
	var out []place
	if self == nil {
		return nil
	}
	known, _ := called(s.App, self)
	for _, o := range s.App.Objects {
		svc, ok := o.Typed.(*corev1.Service)
		if !ok || len(svc.Spec.Selector) == 0 {
			continue
		}
		addr, ok := s.Services(o.Name + "." + o.Home())
		if !ok {
			continue
		}
		for _, sp := range svc.Spec.Ports {
			if protocolOf(sp.Protocol) == "TCP" && !expected(s.App, self, o, svc, sp, known) {
				out = append(out, place{"service " + o.Name, net.JoinHostPort(addr, fmt.Sprint(sp.Port)), ""})
			}
		}
	}
	return out
}

// expected says whether a Service's port leads to the pod itself or to one that
// it was seen to call.
func expected(a *app.App, self *app.Workload, o *app.Object, svc *corev1.Service, sp corev1.ServicePort, known []app.Connection) bool {
	behind := 0
	for _, w := range a.Workloads {
		if o.Home() != w.Home() || !app.Selects(svc.Spec.Selector, w.Meta.Labels) {
			continue
		}
		behind++
		n, ok := targetPort(sp, w)
		if w == self || ok && slices.Contains(known, app.Connection{Workload: w.ID(), Protocol: "TCP", Port: n}) {
			return true
		}
	}
	return behind == 0
}
