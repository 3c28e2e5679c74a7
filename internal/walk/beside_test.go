package walk

import (
	"context"
	"errors"
	"testing"
	"time"

	"road/internal/sandbox"
	"road/internal/step"

	"github.com/google/go-cmp/cmp"
)

// Attacks that only wait act beside each other in one scene: two that wait for
// each other both come to an end.
func TestWaitingAttacksActBesideEachOther(t *testing.T) {
	s := labelStep("a")
	judge := s.Attacks[0].Run
	met := make(chan struct{})
	meet := func(come func() error) func(context.Context, *sandbox.Scene) (step.Outcome, error) {
		return func(ctx context.Context, sc *sandbox.Scene) (step.Outcome, error) {
			if err := come(); err != nil {
				return step.Outcome{}, err
			}
			return judge(ctx, sc)
		}
	}
	late := errors.New("the other one did not come")
	s.Attacks = append(s.Attacks,
		step.Attack{Name: "give", Goal: "meet", Transport: step.Code, Waits: true, Run: meet(func() error {
			select {
			case met <- struct{}{}:
				return nil
			case <-time.After(3 * time.Second):
				return late
			}
		})},
		step.Attack{Name: "take", Goal: "meet", Transport: step.Code, Waits: true, Run: meet(func() error {
			select {
			case <-met:
				return nil
			case <-time.After(3 * time.Second):
				return late
			}
		})})
	r := walked(t, options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, s))
	for _, row := range r.Matrix.Rows {
		if d := cmp.Diff([]step.Verdict{step.Succeeded, step.Blocked}, row.Cells); d != "" {
			t.Errorf("%s: %s", row.Attack, d)
		}
	}
}
