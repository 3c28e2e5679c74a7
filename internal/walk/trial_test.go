package walk

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/step"

	"github.com/google/go-cmp/cmp"
)

// trying gives a step whose fix needs an annotation that only a trial finds: what
// was granted, joined. The application works with it where needed is granted.
func trying(m *memory, needed ...string) *step.Step {
	s := labelStep("a")
	m.unready = func(_ *app.App, w *app.Workload) string {
		granted := strings.Split(w.Meta.Annotations["a"], ",")
		for _, n := range needed {
			if w.Meta.Labels["a"] != "" && !slices.Contains(granted, n) {
				return "needs " + n
			}
		}
		return ""
	}
	s.Trial = &step.Trial{
		Candidates: func(*app.App, string) [][]string { return [][]string{{"v"}, {"w", "x"}, {"y"}} },
		Grant: func(a *app.App, workload string, names []string) {
			in := a.Seen.Inside(workload, "web")
			in.Written = nil
			if len(names) > 0 {
				in.Written = []string{strings.Join(names, ",")}
			}
		},
	}
	return s
}

// What is granted is the least with which the application works.
func TestTrialFindsTheLeast(t *testing.T) {
	for _, c := range []struct {
		needed []string
		want   string // "" for left out
	}{
		{[]string{"v"}, `"v"`}, {[]string{"x"}, `"x"`}, {[]string{"v", "x"}, `"v,x"`}, {[]string{"w", "y"}, `"w,y"`}, {[]string{"z"}, ""},
	} {
		m := &memory{}
		r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, trying(m, c.needed...)))
		s := r.Stops[1]
		if c.want == "" {
			if s.Status != LeftOut || !strings.Contains(s.Reason, "needs z") {
				t.Errorf("%v: %s, %s", c.needed, s.Status, s.Reason)
			}
			continue
		}
		found := strings.ReplaceAll(strings.ReplaceAll(c.want, `"`, ""), " ", "")
		if s.Status != Done || !strings.Contains(s.Diff, "a: "+found+"\n") && !strings.Contains(s.Diff, "a: "+c.want+"\n") {
			t.Errorf("%v: %s %s\n%s", c.needed, s.Status, s.Reason, s.Diff)
		}
		if got := s.Workloads[0].Exceptions; len(got) != 1 || !strings.HasPrefix(strings.ReplaceAll(got[0], ", ", ","), "needs "+found+"; without: ") || !strings.Contains(got[0], "does not get ready: needs ") {
			t.Errorf("%v: exceptions %q", c.needed, got)
		}
	}
}

// A workload that a step leaves out at 1.0 says nothing about the step alone.
func TestLeftOutAloneIsUnproven(t *testing.T) {
	m := &memory{}
	m.unready = func(_ *app.App, w *app.Workload) string {
		if w.Name == "db" && w.Meta.Labels["b"] != "" && w.Meta.Labels["a"] == "" {
			return "needs a"
		}
		return ""
	}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db")}, labelStep("a"), labelStep("b")))
	s := r.Stops[2]
	if d := cmp.Diff([]step.Verdict{step.Succeeded, step.Blocked, step.Blocked}, verdicts(t, s, "deployment/web")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]step.Verdict{step.Succeeded, step.Blocked, step.Unproven}, verdicts(t, s, "deployment/db")); d != "" {
		t.Error(d)
	}
	for _, a := range s.Attacks {
		if a.Alone.Verdict == step.Unproven && !strings.Contains(a.Alone.Reason, "leaves it out: deployment/db does not get ready: needs a") {
			t.Errorf("reason: %s", a.Alone.Reason)
		}
	}
}

// A start is waited for as long as others took in its lane: from the moment on at
// which a trial has found what works, and not after it.
func TestPatience(t *testing.T) {
	for _, c := range []struct {
		starting, took time.Duration
		trying         bool
		want           time.Duration
	}{
		{0, 0, false, 2 * time.Minute},
		{time.Second, 0, false, leastReady},
		{time.Second, 200 * time.Millisecond, false, leastReady},
		{time.Second, 0, true, leastReady}, // nothing got ready there yet
		{time.Second, 200 * time.Millisecond, true, leastTried},
		{time.Second, 3 * time.Second, true, time.Minute}, // the machine is busier now
		{5 * time.Second, time.Second, true, 20 * time.Second},
		{time.Minute, time.Minute, true, 2 * time.Minute},
	} {
		w := &walker{o: Options{Ready: 2 * time.Minute}, starting: c.starting}
		if got := w.patience(&lane{took: c.took, trying: c.trying}); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// Only what is tried without something is given the shorter time, not the search
// for what works.
func TestTrialIsShort(t *testing.T) {
	var mu sync.Mutex
	limits := map[string]time.Duration{}
	m := &memory{within: func(a *app.App, limit time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		granted := a.Workload("web").Meta.Annotations["a"]
		if was, known := limits[granted]; !known || limit < was {
			limits[granted] = limit
		}
	}}
	if s := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, trying(m, "x"))).Stops[1]; s.Status != Done {
		t.Fatal(s.Reason)
	}
	for granted, short := range map[string]bool{"v": false, "v,w,x": false, "w,x": true} {
		if limit, tried := limits[granted]; !tried || short != (limit <= leastTried) {
			t.Errorf("with %s it may take %s; %v", granted, limit, limits)
		}
	}
}
