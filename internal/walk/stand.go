package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"
)

// A Stand is an application that stands somewhere on the road, fixed and seen to
// work, with nothing running. Variants of it can be attacked, each with
// protections taken out in memory: what stops an attack is known for sure only
// where the attack succeeds again without it.
type Stand struct {
	w      *walker
	l      *lane
	number int
}

// StandAt takes the application to the last stop of o without attacks.
func StandAt(ctx context.Context, o Options) (*Stand, error) {
	w, err := travel(ctx, o)
	if w == nil {
		return nil, err
	}
	w.stopServing(ctx)
	if err != nil {
		return nil, w.mask.error(interrupted(ctx, err))
	}
	return &Stand{w, w.lane, w.report.Stops[len(w.report.Stops)-1].Number}, nil
}

// App is the application as it stands.
func (s *Stand) App() *app.App { return s.l.app }

// Report is what the way there came to.
func (s *Stand) Report() *Report { return s.w.report }

// Plus gives the application with one step more, taken as on the road: what it
// then lacks is learned and the fix asked again.
func (s *Stand) Plus(ctx context.Context, st *step.Step) (*Stand, error) {
	p := planned{slices.Index(s.w.o.Steps, st) + 2, st}
	if p.number < 2 {
		return nil, fmt.Errorf("the road has no step %s", st.Name)
	}
	l := &lane{dir: s.w.variant(p, "plus"), app: s.l.app}
	if err := linkTree(ctx, s.l.dir, l.dir); err != nil {
		return nil, err
	}
	if err := s.w.reload(l, p.number); err != nil {
		return nil, err
	}
	l.app.Seen = cloneSeen(s.l.app.Seen)
	defer s.w.end(ctx, l)
	stop := &Stop{Number: p.number}
	if err := s.w.publish(ctx, l, p, stop); err != nil {
		return nil, s.w.mask.error(interrupted(ctx, err))
	}
	t, err := s.w.take(ctx, l, p, stop)
	if err != nil {
		return nil, s.w.mask.error(interrupted(ctx, err))
	}
	if t.diff == "" {
		return nil, errors.New(s.w.mask.line(t.reason))
	}
	return &Stand{s.w, l, p.number}, nil
}

// A Tried is what one attack on one target came to.
type Tried struct {
	Attack *step.Attack
	Cell
}

// Attack runs the attacks of a step against the application as it stands, but
// without the protections of some steps. The verdicts are what the attacks
// themselves say. Pods that do not get ready that way, as a server that is root
// again but lacks root's capabilities, do not keep the others from being attacked.
func (s *Stand) Attack(ctx context.Context, of *step.Step, without ...*step.Step) ([]Tried, error) {
	a, err := app.LoadBelow(s.l.dir, s.w.o.Below)
	if err != nil {
		return nil, err
	}
	a.Name, a.Stop, a.Seen = s.w.o.Name, s.number, cloneSeen(s.l.app.Seen)
	for _, st := range without {
		step.Weaken(st, a)
	}
	l := &lane{dir: s.l.dir, app: a}
	defer s.w.end(ctx, l)
	stop := &Stop{Number: s.number}
	var late *sandbox.NotReadyError
	if err := s.w.run(ctx, l, a, stop); err != nil && (!errors.As(err, &late) || ctx.Err() != nil) {
		return nil, s.w.mask.error(interrupted(ctx, err))
	}
	jobs, cells := s.w.jobs(of), map[key]Cell{}
	if err := s.w.attack(ctx, stop, Weakened, l, jobs, cells); err != nil {
		return nil, s.w.mask.error(interrupted(ctx, err))
	}
	var out []Tried
	for _, j := range jobs {
		out = append(out, Tried{j.attack, cells[j.key]})
	}
	return out, nil
}
