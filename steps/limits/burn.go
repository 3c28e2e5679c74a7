package limits

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// The processors that count as taken, over which time; more where the limit is
// more.
const (
	burnCores  = 1.5
	burnWindow = 300 * time.Millisecond
)

// A burn is what became of a try to take the processors.
type burn struct {
	idle          float64 // in cores, what the pod took before
	cores         int     // of the node
	limit         float64 // in cores, 0 for none
	best          float64 // in cores, over burnWindow, without idle
	before, after sandbox.Usage
}

// want is how many cores must be used at once.
func (b burn) want() float64 { return max(burnCores, burnCores*b.limit) }

// cpuBurn keeps every processor busy and has the node count.
func cpuBurn(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	limit, _, err := limitOf(s, corev1.ResourceCPU)
	if err != nil {
		return step.Outcome{}, err
	}
	b := burn{cores: runtime.NumCPU(), limit: limit.AsApproximateFloat64()}
	if why := b.pointless(); why != "" {
		return step.Outcome{Verdict: step.Unproven, Reason: why}, nil
	}
	if err := b.rest(ctx, s.Node); err != nil {
		return step.Outcome{}, err
	}
	if s.Favour != nil {
		undo, failed := s.Favour()
		if failed != nil {
			return step.Outcome{}, failed
		}
		defer func() { err = errors.Join(err, undo()) }()
	}
	last := 3 * time.Second // a busy machine gives them only now and then
	if b.limit > 0 {
		last = 800 * time.Millisecond
	}
	var held probe.Held
	begun := make(chan error, 1)
	go func() {
		// Two for each processor: the kernel is slow to move one from a processor
		// that has two to one that has none, which the programs of others take.
		begun <- s.Foothold.Code(ctx, probe.Spin, probe.SpinArgs{Processes: min(2*b.cores, 64), Millis: int(last.Milliseconds())}, &held)
	}()
	if err := b.watch(ctx, s.Node, begun, last); err != nil {
		return step.Outcome{}, err
	}
	out, err = b.judge()
	return out, errors.Join(err, step.Clean(ctx, s.Foothold, probe.Release, held))
}

// restWindow is how long is looked at what the pod takes without the burn.
const restWindow = 60 * time.Millisecond

// rest reads the counts before the burn, and what the application itself uses of
// the processors.
func (b *burn) rest(ctx context.Context, n sandbox.Node) error {
	first, err := n.Usage()
	if err != nil {
		return err
	}
	from := time.Now()
	select {
	case <-time.After(restWindow):
	case <-ctx.Done():
		return ctx.Err()
	}
	if b.before, err = n.Usage(); err != nil {
		return err
	}
	b.idle = max(0, float64(b.before.CPU-first.CPU)/float64(time.Since(from)))
	return nil
}

// pointless says why nothing can be told here, "" where it can.
func (b burn) pointless() string {
	switch {
	case b.cores < 2:
		return "the node has one core"
	case b.limit >= float64(b.cores):
		return fmt.Sprintf("the node has %d cores, no more than the limit of %.4g", b.cores, b.limit)
	}
	return ""
}

// heldPeriods is in how many periods of 100 ms a container has to be held back
// before the burn may end: in all of burnWindow.
const heldPeriods = 3

// watch reads the node's count until the processes, which the probe has said to
// run, end, have used enough, or were held back often enough.
func (b *burn) watch(ctx context.Context, n sandbox.Node, running <-chan error, last time.Duration) error {
	var marks marks
	run := false
	var end <-chan time.Time
	for {
		begun := time.Now()
		u, err := n.Usage()
		if err != nil {
			return err
		}
		b.after = u
		over := marks.add(mark{begun, time.Now(), u.CPU})
		b.best = max(b.best, over-b.idle)
		if run && (b.best > b.want() || b.limit > 0 && over > 0 && u.Throttled-b.before.Throttled >= heldPeriods) {
			return nil
		}
		select {
		case err := <-running:
			if err != nil {
				return err
			}
			run, running, end = true, nil, time.After(last)
		case <-end:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A mark is a count of processor time, taken at some moment between two: on a
// machine whose processors are taken, reading it is held up too.
type mark struct {
	begun, over time.Time
	cpu         time.Duration
}

// marks are those of the last burnWindow, the oldest first.
type marks []mark

// add gives how many cores were used at least over the window that ends with m,
// 0 where there is no whole window yet.
func (ms *marks) add(m mark) float64 {
	for len(*ms) > 1 && m.over.Sub((*ms)[1].begun) >= burnWindow {
		*ms = (*ms)[1:]
	}
	*ms = append(*ms, m)
	first := (*ms)[0]
	if span := m.over.Sub(first.begun); span >= burnWindow {
		return float64(m.cpu-first.cpu) / float64(span)
	}
	return 0
}

// slack is how far above its limit a container is seen that is held back: a
// window that begins within a period of 100 ms touches four of them, not three.
const slack = 1.34

// judge says what the counts mean.
func (b burn) judge() (step.Outcome, error) {
	held := b.after.Throttled - b.before.Throttled
	counts := fmt.Sprintf("on the node: the pod used up to %.2f cores over %s", b.best, burnWindow)
	switch {
	case b.best > b.want():
		return step.Outcome{Verdict: step.Succeeded, Evidence: counts}, nil
	case b.limit > 0 && held > 0 && b.best <= slack*b.limit:
		return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("%s, limit %.4g\nits cgroup's nr_throttled %d before, %d after", counts, b.limit, b.before.Throttled, b.after.Throttled)}, nil
	}
	return step.Outcome{}, fmt.Errorf("the machine is too busy to tell: %s, %.4g were wanted, held back in %d periods", counts, b.want(), held)
}
