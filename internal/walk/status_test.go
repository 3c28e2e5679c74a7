package walk

import (
	"testing"

	"road/internal/step"

	"github.com/google/go-cmp/cmp"
)

// A later step must not undo what an earlier one did.
func TestAttackThatComesBackIsAShortfall(t *testing.T) {
	cells := func(v ...step.Verdict) Row {
		r := Row{Attack: "an-attack", Step: "a", Cells: v}
		for range v {
			r.Details = append(r.Details, Cell{Target: "deployment/web container web"})
		}
		return r
	}
	open := cells(step.Succeeded, step.Blocked, step.Succeeded)
	open.Open = "nothing stops it"
	for _, c := range []struct {
		row  Row
		want []string
	}{
		{cells(step.Succeeded, step.Blocked, step.Blocked), nil},
		{cells(step.Succeeded, step.Blocked, step.Unproven), nil},
		{cells(step.Succeeded, step.Blocked, step.Succeeded), []string{"an-attack succeeds again at 3.0 on deployment/web container web"}},
		{cells(step.Succeeded, step.Unproven, step.Succeeded), []string{"an-attack succeeds again at 3.0 on deployment/web container web"}},
		{open, nil},
	} {
		r := &Report{Matrix: Matrix{Stops: []int{1, 2, 3}, Rows: []Row{c.row}}}
		for i, name := range []string{"", "a", "b"} {
			r.Stops = append(r.Stops, &Stop{Number: i + 1, Step: name, Status: Done, Works: Works{Verdict: "works"}})
		}
		if d := cmp.Diff(c.want, r.Shortfalls(false)); d != "" {
			t.Errorf("%v: %s", c.row.Cells, d)
		}
	}
}
