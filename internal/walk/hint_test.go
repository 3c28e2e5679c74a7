package walk

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	"github.com/google/go-cmp/cmp"
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

// What to do is said once where it is the same for several places, behind the last.
func TestHintOnce(t *testing.T) {
	at := func(line int, message, hint string) step.Finding {
		return step.Finding{Pos: app.Pos{File: "web.yaml", Line: line}, Message: message, Hint: hint}
	}
	got := reasons(nil, []step.Finding{at(1, "a tag", "push it"), at(2, "open", "shut it"), at(3, "a tag", "push it"), at(3, "a tag", "push it"), at(4, "odd", "")})
	want := "web.yaml:1: a tag; web.yaml:2: open (shut it); web.yaml:3: a tag (push it); web.yaml:4: odd"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
