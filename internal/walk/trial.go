package walk

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"road/internal/step"
)

// trial finds by running what a workload cannot do without, where its step knows
// what that may be. It says whether the step is worth another try with what it
// noted in the application's Seen.
func (w *walker) trial(ctx context.Context, l *lane, p planned, stop *Stop, t *taken, broken *fault) (bool, error) {
	if p.step.Trial == nil {
		return false, nil
	}
	for _, id := range broken.workloads {
		groups := p.step.Trial.Candidates(l.app, id)
		if t.tried[id] || len(groups) == 0 {
			continue
		}
		t.tried[id] = true
		found, err := w.grant(ctx, l, p, stop, t, trialOf{id, groups, broken.reason})
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// A trialOf is the trial of one workload.
type trialOf struct {
	workload string
	groups   [][]string
	without  string // how the application failed with nothing granted
}

// grant gives a workload one group on top of the other until the application
// works, and then takes back one thing after another, as long as it does. Why the
// most that did not do did not is kept as the reason.
func (w *walker) grant(ctx context.Context, l *lane, p planned, stop *Stop, t *taken, o trialOf) (bool, error) {
	works := func(names []string) (bool, error) {
		w.emit(Note{stop.Number, w.mask.line(fmt.Sprintf("%s: trying %s with %s", w.about(l, p), o.workload, strings.Join(names, ", ")))})
		p.step.Trial.Grant(l.app, o.workload, names)
		broken, err := w.broken(ctx, l, p, stop, t)
		if broken != nil {
			o.without = broken.reason
			w.emit(Note{stop.Number, w.mask.line(w.about(l, p) + ": " + broken.reason)})
		}
		return err == nil && broken == nil, err
	}
	var names []string
	found := false
	for _, g := range o.groups {
		names = append(names, g...)
		var err error
		if found, err = works(names); err != nil {
			return false, err
		}
		if found {
			break
		}
	}
	if !found {
		p.step.Trial.Grant(l.app, o.workload, nil)
		return false, nil
	}
	l.trying = true
	defer func() { l.trying = false }()
	for _, n := range slices.Clone(names) {
		less := slices.DeleteFunc(slices.Clone(names), func(m string) bool { return m == n })
		if len(less) == 0 {
			break // that is how it began
		}
		ok, err := works(less)
		if err != nil {
			return false, err
		}
		if ok {
			names = less
		}
	}
	p.step.Trial.Grant(l.app, o.workload, names)
	t.kept[o.workload] = strings.Join(names, ", ") + "; without: " + o.without
	return true, nil
}

// broken says how the application fails with the step as it would be fixed now,
// nil where it works. The lane's files are as before afterwards.
func (w *walker) broken(ctx context.Context, l *lane, p planned, stop *Stop, t *taken) (*fault, error) {
	previous, images := l.app, maps.Clone(l.app.Seen.Images)
	c, err := w.fix(l, p, t.leftOut)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return &fault{reason: "the step changes nothing then"}, nil
	}
	broken, err := w.attempt(ctx, l, c, stop, t)
	if err != nil {
		return nil, err
	}
	return broken, w.restore(l, c, previous, images)
}

// withoutLeftOut writes down that an attack on a workload which a step left out
// says nothing about the step, and gives the other jobs.
func (w *walker) withoutLeftOut(jobs []job, leftOut map[string]string, what string, cells map[key]Cell) []job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j job) bool {
		t := j.key.target
		why, out := leftOut[t.Workload]
		if !out {
			why, out = leftOut[t.Workload+" "+t.Container]
		}
		if out {
			w.book.write(cells, j.key, Cell{Verdict: step.Unproven, Target: targetName(t), Reason: w.mask.line(what + ": " + why)})
		}
		return out
	})
}
