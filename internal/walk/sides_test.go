package walk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"
)

// A slow attack on one stop does not hold the next: here it ends only when the
// next stop has begun.
func TestRoadGoesOnBesideAttacks(t *testing.T) {
	next := make(chan struct{})
	a, b := labelStep("a"), labelStep("b")
	judge := a.Attacks[0].Run
	a.Attacks[0].Run = func(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
		select {
		case <-next:
		case <-time.After(5 * time.Second):
			return step.Outcome{}, errors.New("the next stop does not begin")
		}
		return judge(ctx, s)
	}
	o := options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, a, b)
	var ended []int
	o.Events = func(e Event) {
		switch e := e.(type) {
		case StopStarted:
			if e.Number == 3 {
				close(next)
			}
		case StopDone:
			ended = append(ended, e.Stop.Number)
		}
	}
	r := walked(t, o)
	if len(ended) != 3 {
		t.Errorf("stops %v ended, want each of three once", ended)
	}
	for i, row := range r.Matrix.Rows {
		if row.Cells[0] != step.Succeeded || row.Cells[2] != step.Blocked {
			t.Errorf("row %d: %+v", i, row)
		}
	}
	for i, s := range r.Stops {
		if s.Number != i+1 {
			t.Errorf("place %d of the report has stop %d", i, s.Number)
		}
	}
}

// brittle is an engine whose host fails where it is to be attacked.
type brittle struct{ *memory }

func (f brittle) Deploy(ctx context.Context, a *app.App, o sandbox.DeployOptions) (sandbox.Deployment, error) {
	if o.Attacked {
		return nil, &sandbox.HostError{Err: errors.New("no space left on device")}
	}
	return f.memory.Deploy(ctx, a, o)
}

// A host that fails beside the road ends the walk as one that fails on it does.
func TestHostFaultBesideTheRoadEndsTheWalk(t *testing.T) {
	m := &memory{t: t}
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"), labelStep("b"), labelStep("c"))
	o.Engine = brittle{m}
	_, err := Walk(context.Background(), o)
	var host *sandbox.HostError
	if !errors.As(err, &host) {
		t.Errorf("got %v", err)
	}
}

// lateToBeAttacked has one workload not get ready beside the road.
func lateToBeAttacked(m *memory, late string) {
	m.unready = func(a *app.App, w *app.Workload) string {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, d := range m.running {
			if d.app == a && d.claims != "walk" && w.ID() == late {
				return "too slow"
			}
		}
		return ""
	}
}

// What works on the road and does not get ready to be attacked is unproven.
func TestNotReadyToBeAttackedIsUnproven(t *testing.T) {
	m := &memory{}
	lateToBeAttacked(m, "deployment/web")
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a")))
	for _, c := range r.Matrix.Rows[0].Details {
		if c.Verdict != step.Unproven || c.Reason == "" {
			t.Errorf("%+v", c)
		}
	}
	if r.Stops[1].Status != Done {
		t.Errorf("the step is %s", r.Stops[1].Status)
	}
}

// A job that does not get through keeps no server from being attacked; a server
// that is not there does, because attacks may reach for it.
func TestOneNotReadyToBeAttacked(t *testing.T) {
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\nspec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers:\n      - {name: once, image: \"example.com/once:1\"}\n"
	files := map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db"), "job.yaml": job}
	for _, c := range []struct {
		late     string
		attacked []string
	}{
		{"job/once", []string{"deployment/db", "deployment/web"}},
		{"deployment/db", nil},
	} {
		m := &memory{}
		lateToBeAttacked(m, c.late)
		r := walked(t, options(t, m, files, labelStep("a")))
		var attacked []string
		for _, a := range r.Stops[1].Attacks {
			workload, _, _ := strings.Cut(a.Target, " ")
			if a.After.Verdict == step.Blocked {
				attacked = append(attacked, workload)
			} else if a.After.Verdict != step.Unproven || !strings.Contains(a.After.Reason, c.late+" does not get ready") {
				t.Errorf("%s late: %+v", c.late, a.After)
			}
		}
		slices.Sort(attacked)
		if len(r.Stops[1].Attacks) != 3 || !slices.Equal(attacked, c.attacked) {
			t.Errorf("%s late: %d attacks, blocked at %q", c.late, len(r.Stops[1].Attacks), attacked)
		}
	}
}
