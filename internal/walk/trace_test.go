package walk

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/step"
)

// filterStep is a step that wants the system calls: it writes them into a label,
// "none" where they cannot be known.
func filterStep() *step.Step {
	s := labelStep("calls")
	wants := func(a *app.App, w *app.Workload) bool {
		in := a.Seen.Containers[w.ID()][w.Name]
		return in == nil || in.SysCalls == nil || in.SysCalls.Fault == ""
	}
	s.Check = func(a *app.App) []step.Finding {
		var out []step.Finding
		for _, w := range a.Workloads {
			if w.Meta.Labels["calls"] == "" {
				out = append(out, step.Finding{Pos: w.Pos(nil), Workload: w.ID(), Message: w.ID() + " has no calls"})
			}
		}
		return out
	}
	s.Trace = func(a *app.App) bool {
		return slices.ContainsFunc(a.Workloads, func(w *app.Workload) bool { return w.Meta.Labels["calls"] == "" && wants(a, w) })
	}
	s.Fix = func(a *app.App) ([]edit.Edit, error) {
		var out []edit.Edit
		for _, f := range s.Check(a) {
			w := a.Workload(f.Workload)
			value := "none"
			if wants(a, w) {
				value = strings.Join(a.Seen.Containers[w.ID()][w.Name].SysCalls.Names, ".")
			}
			out = append(out, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: app.Path{"spec", "template", "metadata", "labels", "calls"}, Value: value}})
		}
		return out, nil
	}
	s.Attacks[0].Open = "only the fix is looked at here"
	return s
}

// TestTrace has the calls of every run add up, until the application works with
// them, or is left with the reason.
func TestTrace(t *testing.T) {
	for _, c := range []struct {
		name   string
		runs   []string // what each traced run shows: calls, or "lost"
		needs  string   // what the application needs to work
		lacks  string   // why the engine cannot trace
		want   string   // label in the end
		traced int
		note   string
	}{
		{name: "at once", runs: []string{"read"}, needs: "read", want: "read", traced: 1},
		{name: "the second run shows more", runs: []string{"read", "write"}, needs: "write", want: "read.write", traced: 2},
		{name: "never enough", runs: []string{"read", "read"}, needs: "write", want: "none", traced: 2,
			note: "does not work with only the calls that it was seen to make"},
		{name: "lost once", runs: []string{"lost", "read"}, needs: "read", want: "read", traced: 2},
		{name: "lost twice", runs: []string{"lost", "lost"}, needs: "read", want: "none", traced: 2, note: "audit records were lost"},
		{name: "no audit", lacks: "no channel", needs: "read", want: "none", note: "cannot be recorded on this host: no channel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			traced := 0
			m := &memory{}
			if c.lacks != "" {
				m.lacks = map[sandbox.Power]string{sandbox.Audit: c.lacks}
			}
			m.calls = func(_ *app.App, s *app.Seen) error {
				traced++
				now := c.runs[min(traced, len(c.runs))-1]
				if now == "lost" {
					return errors.New("audit records were lost")
				}
				in := s.Inside("deployment/web", "web")
				if in.SysCalls == nil {
					in.SysCalls = &app.SysCalls{}
				}
				in.SysCalls.Add(app.SysCalls{Names: []string{now}})
				return nil
			}
			m.unready = func(_ *app.App, w *app.Workload) string {
				if l := w.Meta.Labels["calls"]; l != "" && l != "none" && !strings.Contains(l, c.needs) {
					return "it was refused " + c.needs
				}
				return ""
			}
			o := options(t, m, map[string]string{"web.yaml": manifest("web")}, filterStep())
			var got string
			o.Keep = func(k Kept) { got = string(k.After["web.yaml"]) }
			r, err := Walk(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(got, "calls: "+c.want+"\n") {
				t.Errorf("%s\n%v", got, r.Stops[1].Reason)
			}
			if traced != c.traced {
				t.Errorf("traced %d times", traced)
			}
			if c.note != "" && !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, c.note) }) {
				t.Errorf("no note says %q: %q", c.note, r.Notes)
			}
		})
	}
}

// TestLearn gives what both runs showed, and changes nothing.
func TestLearn(t *testing.T) {
	m := &memory{
		learn: func(_ *app.App, s *app.Seen) { s.Inside("deployment/web", "web").Written = []string{"/tmp"} },
		calls: func(_ *app.App, s *app.Seen) error {
			s.Inside("deployment/web", "web").SysCalls = &app.SysCalls{Names: []string{"read"}}
			return nil
		},
	}
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"))
	r, err := Learn(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	in := r.Seen.Containers["deployment/web"]["web"]
	if r.Schema != app.RecordSchema || len(in.Written) != 1 || len(in.SysCalls.Names) != 1 || len(r.Workloads["deployment/web"]) != 1 {
		t.Errorf("%+v %+v", r, in)
	}
	if len(m.deployed) != 2 {
		t.Errorf("deployed %v", m.deployed)
	}
}
