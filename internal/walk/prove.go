package walk

import (
	"context"
	"fmt"

	"road/internal/step"
)

// prove has the application attacked at a stop that its step has made, and for the
// step's own attacks what their verdicts are compared with.
func (w *walker) prove(ctx context.Context, p planned, c *course) error {
	if c.stop.Status == Done {
		if err := w.attackStop(ctx, c); err != nil {
			return err
		}
	} else {
		w.book.open(c.stop.Number, true)
	}
	if w.peaceful || c.stop.Status == LeftOut {
		return nil
	}
	return w.alone(ctx, p, c)
}

// alone has a step's attacks run at 1.0 plus only this step. Where nothing came
// before it, that is the stop itself.
func (w *walker) alone(ctx context.Context, p planned, c *course) error {
	switch stop := c.stop; {
	case stop.Status == Already && len(p.step.Check(w.original.app)) == 0:
		w.sameAs(p, 1)
		return nil
	case stop.Status == Done && !w.changed():
		w.sameAs(p, stop.Number)
		return nil
	case stop.Status == Done && p.step.AdmissionOnly:
		w.sameAs(p, stop.Number)
		w.book.asked = p.step
		return nil
	}
	l := &lane{dir: w.variant(p, "alone"), app: w.original.app, only: true}
	if err := linkTree(ctx, w.original.dir, l.dir); err != nil {
		return err
	}
	if err := w.reload(l, p.number); err != nil {
		return err
	}
	l.app.Seen = cloneSeen(w.original.app.Seen)
	w.raid(c, &c.stop.Parts.Control, func(ctx context.Context) error { return w.attackAlone(ctx, p, l, c.stop) })
	return nil
}

// sameAs notes that a step alone is the application at a stop.
func (w *walker) sameAs(p planned, stop int) {
	for _, j := range w.jobs(p.step) {
		w.book.alike(j.key, stop)
	}
}

// attackAlone takes the step in its lane and attacks what that comes to.
func (w *walker) attackAlone(ctx context.Context, p planned, l *lane, stop *Stop) error {
	defer w.end(ctx, l)
	jobs := w.jobs(p.step)
	silent := &Stop{Number: stop.Number, Silent: true}
	if err := w.publish(ctx, l, p, silent); err != nil {
		return err
	}
	t, err := w.take(ctx, l, p, silent)
	if err != nil {
		return err
	}
	if t.diff == "" {
		left := map[string]bool{}
		for _, f := range p.step.Check(l.app) {
			left[f.Workload] = true
		}
		for _, j := range jobs {
			if !left[j.key.target.Workload] { // it had the protection as it came
				w.book.alike(j.key, 1)
				continue
			}
			w.book.write(w.book.alone, j.key, Cell{Verdict: step.Unproven, Target: targetName(j.key.target),
				Reason: w.mask.line("1.0 plus only this step does not run: " + t.reason)})
		}
		return nil
	}
	jobs = w.withoutLeftOut(jobs, t.leftOut, "1.0 plus only this step leaves it out", w.book.alone)
	return w.attack(ctx, stop, AloneSide, l, jobs, w.book.alone)
}

// changed says whether a stop before the one that is being made changed the
// application.
func (w *walker) changed() bool {
	for _, s := range w.report.Stops {
		if s.Number > 1 && s.Status == Done {
			return true
		}
	}
	return false
}

// compareAll has every step's attacks compared that nothing compares with yet.
func (w *walker) compareAll(ctx context.Context) error {
	w.book.settle()
	for _, p := range w.plan {
		stop := w.report.Stops[0]
		for _, s := range w.report.Stops {
			if s.Number == p.number {
				stop = s
			}
		}
		if stop.Status == LeftOut {
			continue
		}
		if err := w.compare(p.step, stop); err != nil {
			return err
		}
	}
	return nil
}

// compare has those attacks of a step that were blocked, but were not seen to
// succeed on anything weaker, run at 1.0 with the step's protection taken away.
func (w *walker) compare(s *step.Step, stop *Stop) error {
	var jobs []job
	for _, j := range w.jobs(s) {
		if w.book.uncompared(j.key) {
			jobs = append(jobs, j)
		}
	}
	if len(jobs) == 0 {
		return nil
	}
	a, err := w.load(w.original.dir)
	if err != nil {
		return err
	}
	a.Name, a.Seen = w.o.Name, cloneSeen(w.original.app.Seen)
	step.Weaken(s, a)
	l := &lane{dir: w.original.dir, app: a, only: true}
	// The stop is over by now: what is left is a part of the walk's end.
	w.raid(&course{w: w, stop: stop, left: 1}, &stop.Parts.Control, func(ctx context.Context) error {
		defer w.end(ctx, l)
		if err := w.run(ctx, l, a, &Stop{Number: stop.Number, Silent: true}); err != nil {
			if ctx.Err() != nil {
				return err
			}
			w.note(fmt.Sprintf("%s: the application without this protection does not run, so nothing compares: %s", s.Name, err))
			return nil
		}
		return w.attack(ctx, stop, Weakened, l, jobs, w.book.weakened)
	})
	return nil
}

// asItStands reports every step's attacks at the only stop.
func (w *walker) asItStands() {
	stop := w.report.Stops[0]
	for _, p := range w.plan {
		for _, r := range w.book.results(p.step, 1, 1) {
			r.Before, r.Alone = Cell{Verdict: step.Unproven, Reason: "not run", Target: r.Target}, Cell{Verdict: step.Unproven, Reason: "not run", Target: r.Target}
			stop.Attacks = append(stop.Attacks, r)
		}
	}
}
