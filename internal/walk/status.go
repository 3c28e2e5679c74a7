package walk

import (
	"fmt"
	"slices"

	"road/internal/step"
)

// Shortfalls says why a walk does not count as a success: a step that was left
// out, an attack of a done step that still succeeds, or succeeds again at a later
// stop, though the road does not leave it open, and under strict everything that
// is unproven. None means that
// every step is done, was there already or is excepted, none of its attacks succeeds, and
// the application works.
func (r *Report) Shortfalls(strict bool) []string {
	var out []string
	for _, s := range r.Stops {
		if s.Number == 1 {
			continue
		}
		if s.Status == LeftOut && s.excepted() {
			continue
		}
		if s.Status == LeftOut {
			out = append(out, fmt.Sprintf("%s was left out: %s", s.Step, s.Reason))
			continue
		}
		for _, w := range s.Workloads {
			if w.Status == LeftOut && !w.Excepted {
				out = append(out, fmt.Sprintf("%s was left out for %s: %s", s.Step, w.Name, w.Reason))
			}
		}
		if s.Works.Verdict != "works" {
			out = append(out, fmt.Sprintf("the application does not work at %d.0", s.Number))
		}
		for _, a := range s.Attacks {
			switch {
			case a.Open != "" || s.spares(a.Target):
			case a.After.Verdict == step.Succeeded:
				out = append(out, fmt.Sprintf("%s still succeeds at %d.0 on %s", a.Name, s.Number, a.Target))
			case strict && a.After.Verdict != step.Blocked:
				out = append(out, fmt.Sprintf("%s is unproven at %d.0 on %s: %s", a.Name, s.Number, a.Target, a.After.Reason))
			}
		}
		out = append(out, r.comesBack(s)...)
	}
	return out
}

// comesBack names the attacks of a stop's step that did not succeed there and do
// at a later stop.
func (r *Report) comesBack(s *Stop) []string {
	var out []string
	for _, row := range r.Matrix.Rows {
		own := slices.Index(r.Matrix.Stops, s.Number)
		if row.Step != s.Step || row.Open != "" || own < 0 || row.Cells[own] == step.Succeeded {
			continue
		}
		for i := own + 1; i < len(row.Cells); i++ {
			if row.Cells[i] == step.Succeeded {
				out = append(out, fmt.Sprintf("%s succeeds again at %d.0 on %s", row.Attack, r.Matrix.Stops[i], row.Details[i].Target))
				break
			}
		}
	}
	return out
}

// SucceededAt names the attacks that succeed at a stop, open ones included; nil
// for a stop that the walk did not come to.
func (r *Report) SucceededAt(stop int) []string { return r.at(stop, step.Succeeded) }

// UnprovenAt names the attacks of which nobody knows at a stop whether they succeed.
func (r *Report) UnprovenAt(stop int) []string { return r.at(stop, step.Unproven) }

// at names the attacks with a verdict at a stop.
func (r *Report) at(stop int, v step.Verdict) []string {
	var out []string
	for i, s := range r.Matrix.Stops {
		for _, row := range r.Matrix.Rows {
			if s == stop && i < len(row.Cells) && row.Cells[i] == v {
				out = append(out, row.Attack)
			}
		}
	}
	return out
}
