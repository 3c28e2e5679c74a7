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
		found, err := w.grant(ctx, l, p, stop, t, id, groups)
		if err != nil || found {
			return found, err
		}
	}
	return false, nil
}

// grant gives a workload one group on top of the other until the application
// works, and then takes back one thing after another, as long as it does.
func (w *walker) grant(ctx context.Context, l *lane, p planned, stop *Stop, t *taken, id string, groups [][]string) (bool, error) {
	works := func(names []string) (bool, error) {
		w.emit(Note{stop.Number, w.mask.line(fmt.Sprintf("%s: trying %s with %s", p.step.Name, id, strings.Join(names, ", ")))})
		p.step.Trial.Grant(l.app, id, names)
		return w.works(ctx, l, p, stop, t)
	}
	var names []string
	found := false
	for _, g := range groups {
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
		p.step.Trial.Grant(l.app, id, nil)
		return false, nil
	}
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
	p.step.Trial.Grant(l.app, id, names)
	t.kept[id] = strings.Join(names, ", ")
	return true, nil
}

// works says whether the application works with the step as it would be fixed
// now. The lane's files are as before afterwards.
func (w *walker) works(ctx context.Context, l *lane, p planned, stop *Stop, t *taken) (bool, error) {
	previous, images := l.app, maps.Clone(l.app.Seen.Images)
	c, err := w.fix(l, p, t.leftOut)
	if err != nil || c == nil {
		return false, err
	}
	broken, err := w.attempt(ctx, l, c, stop, t)
	if err != nil {
		return false, err
	}
	if err := w.restore(l, c, previous, images); err != nil {
		return false, err
	}
	return broken == nil, nil
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
