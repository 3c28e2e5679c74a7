package walk

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestOnlyTheRoadPushes has no variant push the images of a step that pins them.
func TestOnlyTheRoadPushes(t *testing.T) {
	m, pin := &memory{}, labelStep("b")
	pin.Publish = true
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"), pin)
	walked(t, o)
	if d := cmp.Diff([]bool{true, false}, m.pushes); d != "" { // the stop, and 1.0 plus only the step
		t.Error(d)
	}
	m.pushes = nil
	o.To, o.Dir = 2, t.TempDir()
	s, err := StandAt(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Plus(t.Context(), pin); err != nil || slices.Contains(m.pushes, true) || len(m.pushes) == 0 {
		t.Errorf("a stand with the step: %v, %v", m.pushes, err)
	}
}
