package walk

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"road/internal/sandbox"
	"road/internal/step"
)

// TestAlone has nothing act on the node of an attack that uses up what all share,
// and nowhere another of its kind, while the others do act side by side.
func TestAlone(t *testing.T) {
	var alone, most, disturbed atomic.Int32
	var nodes sync.Map // by the application that is attacked: how many act on it
	act := func(bomb bool) func(context.Context, *sandbox.Scene) (step.Outcome, error) {
		return func(_ context.Context, s *sandbox.Scene) (step.Outcome, error) {
			v, _ := nodes.LoadOrStore(s.App, &atomic.Int32{})
			acting := v.(*atomic.Int32)
			n := acting.Add(1)
			if bomb && alone.Add(1) > 1 {
				disturbed.Add(1)
			}
			time.Sleep(20 * time.Millisecond)
			if bomb && (n > 1 || acting.Load() > 1) {
				disturbed.Add(1)
			}
			if n > most.Load() {
				most.Store(n)
			}
			if bomb {
				alone.Add(-1)
			}
			acting.Add(-1)
			return step.Outcome{Verdict: step.Succeeded, Evidence: "done"}, nil
		}
	}
	s := labelStep("a")
	s.Attacks = nil
	for _, name := range []string{"bomb", "burn", "own", "other"} {
		alone := name[0] == 'b'
		s.Attacks = append(s.Attacks, step.Attack{Name: name, Goal: "get it", Transport: step.Code, Alone: alone, OwnPod: name != "other", Run: act(alone)})
	}
	m := &memory{}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db")}, s))
	for _, a := range r.Stops[1].Attacks {
		if a.Before.Verdict != step.Succeeded || a.After.Verdict != step.Succeeded {
			t.Errorf("%s: %+v", a.Name, a)
		}
	}
	if n := disturbed.Load(); n > 0 {
		t.Errorf("something acted beside an attack that acts alone, %d times", n)
	}
	if most.Load() < 2 {
		t.Error("the others did not act side by side")
	}
}
