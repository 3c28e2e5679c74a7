package walk

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"road/internal/app"
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

// TestAloneMustWork has a step prove nothing alone where the application gets
// ready with it and then answers nobody: what is attacked there is no application.
func TestAloneMustWork(t *testing.T) {
	m := &memory{
		dial: func(context.Context, string) (net.Conn, error) {
			here, there := net.Pipe()
			there.Close()
			return here, nil
		},
		deaf: func(a *app.App) bool {
			labels := a.Workloads[0].Meta.Labels
			return labels["b"] == "on" && labels["a"] == ""
		},
	}
	files := map[string]string{"web.yaml": manifest("web"),
		"service.yaml": "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 5432}]}\n"}
	r := walked(t, options(t, m, files, labelStep("a"), labelStep("b")))
	if s := r.Stops[2]; s.Status != Done || s.Works.Verdict != "works" {
		t.Fatalf("%s %s: %+v", s.Status, s.Reason, s.Works)
	}
	c := r.Stops[2].Attacks[0].Alone
	if c.Verdict != step.Unproven || !strings.Contains(c.Reason, "1.0 plus only this step does not run") || !strings.Contains(c.Reason, "nobody listens") {
		t.Errorf("%+v", c)
	}
}

// TestLeft has no attack come into a container that a blocked one has changed, and
// the next one into the same where it has changed nothing.
func TestLeft(t *testing.T) {
	for _, left := range []bool{true, false} {
		var mu sync.Mutex
		scenes := map[string]map[*sandbox.Scene]bool{}
		act := func(name string) func(context.Context, *sandbox.Scene) (step.Outcome, error) {
			return func(_ context.Context, s *sandbox.Scene) (step.Outcome, error) {
				mu.Lock()
				defer mu.Unlock()
				if scenes[name] == nil {
					scenes[name] = map[*sandbox.Scene]bool{}
				}
				scenes[name][s] = true
				return step.Outcome{Verdict: step.Blocked, Evidence: "no", Left: left}, nil
			}
		}
		s := labelStep("a")
		s.Attacks = nil
		for _, name := range []string{"first", "second"} {
			s.Attacks = append(s.Attacks, step.Attack{Name: name, Goal: "get it", Transport: step.Code, OwnPod: true, Run: act(name)})
		}
		walked(t, options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, s))
		shared := 0
		for scene := range scenes["first"] {
			if scenes["second"][scene] {
				shared++
			}
		}
		if len(scenes["first"]) == 0 || left && shared > 0 || !left && shared != len(scenes["first"]) {
			t.Errorf("left %v: %d of %d scenes shared", left, shared, len(scenes["first"]))
		}
	}
}
