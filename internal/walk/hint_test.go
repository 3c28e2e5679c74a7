package walk

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"
)

// What a step leaves out comes with what to do about it.
func TestLeftOutWithHint(t *testing.T) {
	s := labelStep("a")
	check := s.Check
	s.Check = func(a *app.App) []step.Finding {
		list := check(a)
		for i := range list {
			list[i].Hint = "give it a namespace"
		}
		return list
	}
	s.Fix = func(*app.App) ([]edit.Edit, error) { return nil, nil }
	r := walked(t, options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, s))
	stop := r.Stops[1]
	if !strings.HasSuffix(stop.Reason, "(give it a namespace)") || !strings.HasSuffix(stop.Workloads[0].Reason, "(give it a namespace)") {
		t.Errorf("%q, %q", stop.Reason, stop.Workloads[0].Reason)
	}
}
