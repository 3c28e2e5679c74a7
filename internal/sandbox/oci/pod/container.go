package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// Restarting. A cluster waits 10 s, 20 s and so on up to five minutes; here the
// same doubling starts small, because what is waited for is on the same machine.
const (
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 5 * time.Second
	quick        = 10 * time.Second // a run that ends sooner is a crash
)

// A container that crashed so often, over so long a time, will not get ready.
// The time is for an application that waits for its database by crashing.
const (
	crashLimit = 3
	crashTime  = 3 * time.Second
)

// A container is one of the pod's, over all its runs.
type container struct {
	p    *Pod
	kind app.ContainerKind
	spec *corev1.Container
	log  *logBook

	stop    chan struct{} // closed when it is to end
	ended   chan struct{} // closed when it runs no more, for good
	started chan struct{} // closed when the startup probe first succeeded
	hooked  chan struct{} // closed when it was first started and its postStart hook is over

	mu    sync.Mutex // below: its own state, written by its goroutines
	run   *attempt   // nil while it does not run
	state ContainerStatus
	past  ending // sums over the runs that are over
}

func newContainer(p *Pod, kind app.ContainerKind, spec *corev1.Container) *container {
	c := &container{
		p: p, kind: kind, spec: spec, stop: p.stopping, ended: make(chan struct{}),
		started: make(chan struct{}), hooked: make(chan struct{}),
		log: &logBook{path: filepath.Join(p.disk, spec.Name+".log")},
	}
	if p.o.Log != nil {
		var w io.Writer = p.o.Log(spec.Name)
		c.log.copy = w
	}
	c.state = ContainerStatus{Name: spec.Name, Kind: kind, Phase: Waiting, Reason: "PodInitializing"}
	if c.sidecar() {
		c.stop = make(chan struct{})
	}
	return c
}

func (c *container) sidecar() bool {
	return c.kind == app.Init && c.spec.RestartPolicy != nil && *c.spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// policy says when the container is started again.
func (c *container) policy() corev1.RestartPolicy {
	if c.spec.RestartPolicy != nil {
		return corev1.RestartPolicy(*c.spec.RestartPolicy)
	}
	pod := c.p.spec.RestartPolicy
	if pod == "" {
		pod = corev1.RestartPolicyAlways
	}
	if c.kind == app.Init && pod == corev1.RestartPolicyAlways {
		return corev1.RestartPolicyOnFailure // an init container that succeeded is done
	}
	return pod
}

// live runs the container over and over until it has ended for good.
func (c *container) live() {
	defer close(c.ended)
	defer closeOnce(c.hooked)
	backoff, crashes, first := firstBackoff, 0, time.Now()
	for n := 0; ; n++ {
		select {
		case <-c.stop:
			return
		default:
		}
		e, err := c.runOnce(n)
		if err != nil && c.stopped() {
			return
		}
		if config := (*configError)(nil); errors.As(err, &config) {
			c.fail("CreateContainerConfigError", config.Error())
			return
		}
		if err != nil {
			c.startFailed(err)
			e.code = 128
		}
		if c.stopped() || !c.again(e.code) {
			return
		}
		if crashes++; e.lived > quick {
			backoff, crashes, first = firstBackoff, 0, time.Now()
		}
		if c.counted() {
			if n+1 >= c.p.o.Failures {
				c.crashLoop(e, n+1)
				return
			}
		} else if crashes >= crashLimit && time.Since(first) >= crashTime {
			c.crashLoop(e, crashes)
		}
		c.waitRestart()
		select {
		case <-time.After(backoff):
		case <-c.stop:
			return
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

func (c *container) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return false
	}
}

// again says whether a container that ended with code is started again, and
// fails the pod where it is not and should have succeeded.
func (c *container) again(code int) bool {
	switch c.policy() {
	case corev1.RestartPolicyAlways:
		return true
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	if code != 0 {
		c.failed(code)
	}
	return false
}

// counted says that somebody counts how often the container fails, and ends the
// pod when it was too often.
func (c *container) counted() bool {
	return c.p.o.Failures > 0 && c.policy() == corev1.RestartPolicyOnFailure
}

// runOnce runs the container one time, to its end or until it is told to end.
func (c *container) runOnce(n int) (ending, error) {
	a, err := c.prepare(n)
	if err == nil {
		err = a.start()
	}
	if err != nil {
		if a != nil {
			err = errors.Join(err, a.remove())
		}
		return ending{}, err
	}
	ctx, cancel := context.WithCancel(c.p.ctx)
	c.begin(a)
	closeHook := sync.OnceFunc(func() { closeOnce(c.hooked) })
	unhealthy := make(chan int64, 1) // grace in seconds
	var work sync.WaitGroup
	work.Go(func() {
		if err := a.postStart(ctx); err != nil && ctx.Err() == nil {
			c.p.note("container %s: postStart hook: %v", c.spec.Name, err)
			offer(unhealthy, c.p.graceSeconds())
			return
		}
		closeHook()
		c.probe(ctx, a, unhealthy)
	})
	select {
	case <-a.exited:
	case grace := <-unhealthy:
		a.terminate(grace, c.stop)
	case <-c.stop:
		a.terminate(c.p.stopGrace(), c.p.ctx.Done())
	}
	cancel()
	work.Wait()
	c.setRun(nil)
	e, err := a.finish()
	c.over(e)
	if err != nil {
		c.p.note("container %s: cleaning up: %v", c.spec.Name, err)
	}
	return e, nil
}

func offer(ch chan<- int64, v int64) {
	select {
	case ch <- v:
	default:
	}
}

// closeOnce closes a channel that only one goroutine ever closes, if it is open.
func closeOnce(ch chan struct{}) {
	select {
	case <-ch:
	default:
		close(ch)
	}
}

// crashLoop gives up hope for the pod, though a container that nobody counts goes
// on being restarted as in a cluster.
func (c *container) crashLoop(e ending, crashes int) {
	reason := fmt.Sprintf("container %s: %s", c.spec.Name, exitText(e.code, c.status().OOMKilled))
	if crashes > 1 {
		reason += fmt.Sprintf(", %d times in a row", crashes)
	}
	if e.code == 128 {
		reason = fmt.Sprintf("container %s: %s", c.spec.Name, c.status().Message)
	}
	c.p.fail(c.spec.Name, reason)
}

// exitText says how a program ended, in words.
func exitText(code int, oom bool) string {
	if oom {
		return fmt.Sprintf("killed for want of memory (OOMKilled, exit status %d)", code)
	}
	return fmt.Sprintf("exit status %d", code)
}
