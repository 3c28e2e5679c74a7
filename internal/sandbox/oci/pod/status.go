package pod

import (
	"context"
	"fmt"
	"time"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// A Phase is a container's state, named as in the Kubernetes API.
type Phase string

// The phases of a container.
const (
	Waiting    Phase = "waiting"
	Running    Phase = "running"
	Terminated Phase = "terminated"
)

// ContainerStatus is what the kubelet would report of a container.
type ContainerStatus struct {
	Name      string
	Kind      app.ContainerKind
	Phase     Phase
	Reason    string // "CrashLoopBackOff", "CreateContainerConfigError", "OOMKilled", "Error", "Completed"
	Message   string // why, or what the termination log said
	ExitCode  int    // of the last run that ended; 128+n for signal n
	Restarts  int
	Lived     time.Duration // the longest of its runs that ended
	OOMKilled bool          // the last run that ended was killed for want of memory
	Started   bool          // the startup probe, if any, has succeeded
	Ready     bool
	Since     time.Time // when this phase began
}

// Status is the pod's state.
type Status struct {
	Ready      bool   // every container that stays is ready, and init containers are through
	Completed  bool   // every normal container ended with status 0, for good
	Failed     string // why it will not get ready; "" while it may
	Containers []ContainerStatus
}

// FailedError says why a pod will not get ready.
type FailedError struct {
	Container string // "" where it is the pod's
	Reason    string // "container web: exit status 1, 3 times in a row"
	Logs      string // the last lines of its containers
}

// Error leaves the logs out: they have lines.
func (e *FailedError) Error() string { return e.Reason }

// Status gives the pod's state now.
func (p *Pod) Status() Status {
	s := Status{Ready: true, Completed: true}
	for _, c := range p.all {
		cs := c.status()
		s.Containers = append(s.Containers, cs)
		switch {
		case c.kind == app.Normal:
			s.Ready = s.Ready && cs.Ready
			s.Completed = s.Completed && c.finished() && cs.Phase == Terminated && cs.ExitCode == 0
		case c.sidecar():
			s.Ready = s.Ready && cs.Ready
		default:
			s.Ready = s.Ready && cs.Phase == Terminated && cs.ExitCode == 0
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure != nil {
		s.Failed = p.failure.Reason
	}
	return s
}

// IsReady says whether Services may send traffic to the pod.
func (p *Pod) IsReady() bool { return p.Status().Ready }

// Changed is closed when the pod's state has changed after the call.
func (p *Pod) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// Done is closed when nothing of the pod runs any more.
func (p *Pod) Done() <-chan struct{} { return p.done }

// A container without a readiness probe counts as ready from its first moment,
// also when it crashes in the next. Who waits is told so only when it has lived
// for a while: longer where it crashed before, and than it lived then.
const (
	settled      = 200 * time.Millisecond
	settledAgain = time.Second
)

// Ready waits until the pod is ready, or has completed; it returns a
// *FailedError as soon as it is clear that it will do neither.
func (p *Pod) Ready(ctx context.Context) error {
	return p.wait(ctx, func(s Status) bool { return s.Completed || s.Ready && p.unsettled(s) <= 0 })
}

// unsettled is how long a ready pod has to live on until that can be trusted.
func (p *Pod) unsettled(s Status) (longest time.Duration) {
	for i, cs := range s.Containers {
		if c := p.all[i]; c.spec.ReadinessProbe != nil || cs.Phase != Running {
			continue
		}
		d := settled
		if cs.Restarts > 0 {
			d = min(max(settledAgain, 2*cs.Lived), quick)
		}
		longest = max(longest, d-time.Since(cs.Since))
	}
	return longest
}

// Completed waits until every normal container of a finite pod has ended with
// status 0.
func (p *Pod) Completed(ctx context.Context) error {
	return p.wait(ctx, func(s Status) bool { return s.Completed })
}

func (p *Pod) wait(ctx context.Context, enough func(Status) bool) error {
	for {
		changed := p.Changed()
		s := p.Status()
		if enough(s) {
			return nil
		}
		var settle <-chan time.Time
		if s.Ready {
			settle = time.After(max(p.unsettled(s), time.Millisecond))
		}
		p.mu.Lock()
		failure := p.failure
		p.mu.Unlock()
		if failure != nil {
			return &FailedError{failure.Container, failure.Reason, p.Logs("", 20)}
		}
		select {
		case <-changed:
		case <-settle:
		case <-p.done:
			if enough(p.Status()) {
				return nil
			}
			if p.Status().Failed != "" {
				continue // which says more
			}
			return &FailedError{Reason: "the pod has ended", Logs: p.Logs("", 20)}
		case <-ctx.Done():
			return &FailedError{Reason: p.pending() + ": " + context.Cause(ctx).Error(), Logs: p.Logs("", 20)}
		}
	}
}

// pending says what a pod that is not ready is waiting for.
func (p *Pod) pending() string {
	for _, c := range p.all {
		s := c.status()
		if s.Ready || s.Phase == Terminated && s.ExitCode == 0 {
			continue
		}
		text := fmt.Sprintf("container %s: %s", s.Name, s.Phase)
		if s.Phase == Running {
			text = fmt.Sprintf("container %s is running and not ready", s.Name)
		} else if s.Reason != "" {
			text += " (" + s.Reason + ")"
		}
		if s.Message != "" {
			text += ": " + s.Message
		}
		return text
	}
	return "the pod is not ready"
}

// broadcast wakes everyone who waits for a change.
func (p *Pod) broadcast() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.changed)
	p.changed = make(chan struct{})
}

// fail records why the pod will not get ready; the first reason stays.
func (p *Pod) fail(container, reason string) {
	p.mu.Lock()
	if p.failure == nil {
		p.failure = &FailedError{Container: container, Reason: reason}
	}
	p.mu.Unlock()
	p.broadcast()
}

func (c *container) status() ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// finished says that the container has ended for good.
func (c *container) finished() bool {
	select {
	case <-c.ended:
		return true
	default:
		return false
	}
}

// change edits the state and tells those who wait.
func (c *container) change(f func(*ContainerStatus)) {
	c.mu.Lock()
	before := c.state.Phase
	f(&c.state)
	if c.state.Phase != before {
		c.state.Since = time.Now()
	}
	c.mu.Unlock()
	c.p.broadcast()
}

func (c *container) setRun(a *attempt) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.run = a
}

// current is the run that goes on, nil between runs.
func (c *container) current() *attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.run
}

// begin marks that a run has begun. Without a startup probe a container has
// started at once, without a readiness probe it is ready then.
func (c *container) begin(a *attempt) {
	c.setRun(a)
	c.change(func(s *ContainerStatus) {
		s.Phase, s.Reason, s.Message = Running, "", ""
		s.Started = c.spec.StartupProbe == nil
		s.Ready = s.Started && c.spec.ReadinessProbe == nil
	})
	if c.spec.StartupProbe == nil {
		closeOnce(c.started)
	}
}

// over records how a run ended.
func (c *container) over(e ending) {
	c.mu.Lock()
	c.past.oomKills += e.oomKills
	c.past.full = c.past.full || e.full
	c.past.throttled += e.throttled
	c.past.bytes += e.bytes
	c.past.writes = app.MergeWrites(c.past.writes, e.writes)
	c.mu.Unlock()
	c.change(func(s *ContainerStatus) {
		s.Phase, s.Ready, s.Started = Terminated, false, false
		s.Lived = max(s.Lived, e.lived)
		s.ExitCode, s.Message = e.code, e.message
		s.OOMKilled = e.oomKills > 0 && e.code == 137
		switch {
		case s.OOMKilled:
			s.Reason = "OOMKilled"
		case e.code == 0:
			s.Reason = "Completed"
		default:
			s.Reason = "Error"
		}
	})
}

// waitRestart marks that the container waits for its next run.
func (c *container) waitRestart() {
	c.change(func(s *ContainerStatus) {
		s.Phase, s.Restarts = Waiting, s.Restarts+1
		s.Message = first(s.Message, s.Reason)
		s.Reason = "CrashLoopBackOff"
	})
}

// startFailed marks a run that the runtime could not start.
func (c *container) startFailed(err error) {
	c.change(func(s *ContainerStatus) {
		s.Phase, s.Reason, s.Message, s.ExitCode = Terminated, "StartError", err.Error(), 128
		s.Ready, s.Started, s.OOMKilled = false, false, false
	})
	if c.policy() == corev1.RestartPolicyNever {
		c.p.fail(c.spec.Name, fmt.Sprintf("container %s: %v", c.spec.Name, err))
	}
}

// fail marks a container that will never be started.
func (c *container) fail(reason, message string) {
	c.change(func(s *ContainerStatus) {
		s.Phase, s.Reason, s.Message, s.Ready = Waiting, reason, message, false
	})
	c.p.fail(c.spec.Name, fmt.Sprintf("container %s: %s: %s", c.spec.Name, reason, message))
}

// failed marks a container that ended badly and is not started again.
func (c *container) failed(code int) {
	s := c.status()
	reason := fmt.Sprintf("container %s: %s", c.spec.Name, exitText(code, s.OOMKilled))
	if s.Message != "" {
		reason += ": " + s.Message
	}
	c.p.fail(c.spec.Name, reason)
}
