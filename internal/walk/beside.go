package walk

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"road/internal/app"

	"golang.org/x/sync/errgroup"
)

// A beside is what goes on beside the road: the application is walked in one
// deployment that nobody attacks, and every stop and every variant is attacked in
// a deployment of its own. What is attacked never disturbs what is walked, and
// what only waits costs no time.
type beside struct {
	group *errgroup.Group
	ctx   context.Context
	slots chan struct{} // one for each deployment that may be attacked at once; nil before the first is
	alone sync.Mutex    // held by an attack that acts alone
	last  chan struct{} // one for each attack that may end its pod now
}

// lastTogether is how many attacks that may end their pods act at once: what they take
// until then is not there for others.
const lastTogether = 2

func newBeside(ctx context.Context) *beside {
	b := &beside{last: make(chan struct{}, lastTogether)}
	b.group, b.ctx = errgroup.WithContext(ctx)
	return b
}

// attackTogether gives how many deployments of an application are attacked at once:
// enough to keep the processors busy while most of them wait, if there is memory. Of
// all that the engine has they get a quarter: a bomb takes half, and the kernel would
// choose its victim among the others where it met what is left.
func attackTogether(a *app.App, memory int64) int {
	n := runtime.NumCPU()
	together := n + 2
	each := memoryOf(a)
	if each > 0 {
		together = max(together, min(4*n, int(loadMemory/each)))
	}
	if each > 0 && memory > 0 {
		together = min(together, int(memory/4/each))
	}
	return max(1, together)
}

// raid has f done beside the road, as a part of a stop, when its turn has come.
// f gives the time that it took to the part of the stop that seconds points to.
func (w *walker) raid(c *course, seconds *float64, f func(ctx context.Context) error) {
	b := w.beside
	if b.slots == nil {
		b.slots = make(chan struct{}, attackTogether(w.app, w.report.Engine.Memory))
	}
	c.more()
	b.group.Go(func() error {
		defer c.over()
		select {
		case b.slots <- struct{}{}:
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
		defer func() { <-b.slots }()
		begun := time.Now()
		err := f(b.ctx)
		w.spent(c.stop, seconds, time.Since(begun))
		return err
	})
}

// spent adds to one of a stop's parts.
func (w *walker) spent(stop *Stop, part *float64, d time.Duration) {
	w.tally.Lock()
	defer w.tally.Unlock()
	*part += d.Seconds()
	stop.Seconds += d.Seconds()
}

// together walks the road by f and does what it leads to beside it. It returns
// when both are over; where one side fails, the other is called off.
func (w *walker) together(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.beside = newBeside(ctx)
	err := f(w.beside.ctx)
	called := w.beside.ctx.Err() != nil // off, by the other side
	if err != nil {
		cancel()
	}
	other := w.beside.group.Wait()
	if err == nil || called && other != nil && !errors.Is(other, context.Canceled) {
		return other
	}
	return err
}

// A course is a stop that is being walked, and what goes on beside it.
type course struct {
	w    *walker
	stop *Stop
	left int // parts that are not over
}

// begin begins a stop.
func (w *walker) begin(number int, name, title string) *course {
	stop := &Stop{Number: number, Step: name, Title: title, Works: Works{Verdict: "works", Checks: []CheckResult{}}}
	w.emit(StopStarted{Heading{number, name, title}})
	return &course{w: w, stop: stop, left: 1}
}

func (c *course) more() {
	c.w.tally.Lock()
	defer c.w.tally.Unlock()
	c.left++
}

// over ends one part; the last ends the stop.
func (c *course) over() {
	c.w.tally.Lock()
	c.left--
	last, stop := c.left == 0, *c.stop // its figures come later, whoever still looks at it
	c.w.tally.Unlock()
	if last {
		c.w.emit(StopDone{&stop})
	}
}

// walked ends the part of the road itself.
func (c *course) walked() {
	c.w.report.Stops = append(c.w.report.Stops, c.stop)
	c.over()
}

// apart gives an application that is run beside another deployment of the same: to
// run it writes down what its images hold.
func apart(a *app.App) *app.App {
	b := *a
	b.Seen = cloneSeen(a.Seen)
	return &b
}

// copyOf gives the application of a lane as it stands now, in a folder of its own
// and with its images ready, for deployments that outlive the next change of the
// lane.
func (w *walker) copyOf(ctx context.Context, l *lane, number int) (*app.App, error) {
	dir := filepath.Join(w.o.Dir, fmt.Sprintf("at-%d", number), w.o.Name)
	if err := linkTree(ctx, l.dir, dir); err != nil {
		return nil, err
	}
	a, err := w.load(dir)
	if err != nil {
		return nil, err
	}
	a.Name, a.Stop, a.Seen = l.app.Name, number, cloneSeen(l.app.Seen)
	if _, err := w.o.Engine.Prepare(ctx, a, nil); err != nil {
		return nil, err
	}
	return a, nil
}
