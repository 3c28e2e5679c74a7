package walk

import (
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"
)

// A workload that its owner excepts keeps what it has, with his words, and the walk
// does not fall short of it, though it is attacked like the others.
func TestExceptedWorkload(t *testing.T) {
	const config = "apiVersion: road/v1\nexceptions:\n- {step: a, workload: db, reason: the vendor says no, until: 2027-01-31}\n"
	files := map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db"), "road.yaml": config}
	o := options(t, &memory{}, files, labelStep("a"))
	o.Now = time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	r := walked(t, o)
	s := r.Stops[1]
	db, web := s.Workloads[0], s.Workloads[1]
	if db.Status != LeftOut || !db.Excepted || db.Reason != "excepted until 2027-01-31: the vendor says no" {
		t.Errorf("db: %+v", db)
	}
	if web.Status != Done || web.Excepted || strings.Contains(s.Diff, "db.yaml") {
		t.Errorf("web: %+v\n%s", web, s.Diff)
	}
	if d := verdicts(t, s, "deployment/db"); d[1] != step.Succeeded {
		t.Errorf("the attack on db: %v", d)
	}
	if short := r.Shortfalls(false); len(short) != 0 {
		t.Errorf("falls short: %q", short)
	}

	// A day later it counts again.
	o = options(t, &memory{}, files, labelStep("a"))
	o.Now = time.Date(2027, 2, 1, 0, 0, 0, 0, time.UTC)
	r = walked(t, o)
	if s := r.Stops[1]; s.Workloads[0].Status != Done {
		t.Errorf("after its end: %+v", s.Workloads)
	}
	if want := "road.yaml:3: the exception from a for deployment/db ended on 2027-01-31: the vendor says no"; !strings.Contains(strings.Join(r.Notes, "\n"), want) {
		t.Errorf("notes: %q", r.Notes)
	}
}

// Where all are excepted the stop is left out, and that is no shortfall.
func TestAllExcepted(t *testing.T) {
	o := options(t, &memory{}, map[string]string{"web.yaml": strings.Replace(manifest("web"), "  name: web\n", "  name: web\n  annotations: {road/except.a: 2027-01-31 not now}\n", 1)}, labelStep("a"), labelStep("b"))
	o.Now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := walked(t, o)
	if s := r.Stops[1]; s.Status != LeftOut || s.Diff != "" || s.Reason != "deployment/web: excepted until 2027-01-31: not now" {
		t.Errorf("%s %q", s.Status, s.Reason)
	}
	if r.Stops[2].Status != Done {
		t.Errorf("b: %s", r.Stops[2].Status)
	}
	if short := r.Shortfalls(false); len(short) != 0 {
		t.Errorf("falls short: %q", short)
	}
}

// An exception that is wrong ends the walk before anything runs.
func TestWrongException(t *testing.T) {
	m := &memory{}
	o := options(t, m, map[string]string{"web.yaml": manifest("web"), "road.yaml": "apiVersion: road/v1\nexceptions:\n- {step: a, workload: nobody, reason: x, until: 2027-01-31}\n"}, labelStep("a"))
	_, err := Walk(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "road.yaml:3: exceptions: there is no workload nobody") || len(m.ran()) > 0 {
		t.Errorf("%v, ran %q", err, m.ran())
	}
}

// One file for all holds nothing of those that stay as they are: neither of the
// excepted, nor of one that does not work with it, which is left out alone.
func TestSharedFile(t *testing.T) {
	s := labelStep("a")
	fix := s.Fix
	s.Fix = func(a *app.App) ([]edit.Edit, error) {
		edits, err := fix(a)
		for _, e := range edits {
			for _, w := range a.Workloads {
				if w.File == e.File {
					edits = append(edits, edit.Edit{File: "all.yaml", Part: true, For: []string{w.ID()},
						Create: []byte("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: for-" + w.Name + "}\n")})
				}
			}
		}
		return edits, err
	}
	const config = "apiVersion: road/v1\nexceptions:\n- {step: a, workload: db, reason: the vendor says no, until: 2027-01-31}\n"
	m := &memory{unready: func(a *app.App, w *app.Workload) string {
		if w.Name == "cache" && strings.Contains(string(a.Files()["all.yaml"]), "for-cache") {
			return "the file stops it"
		}
		return ""
	}}
	o := options(t, m, map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db"), "cache.yaml": manifest("cache"), "road.yaml": config}, s)
	o.Now = time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	stop := walked(t, o).Stops[1]
	for _, w := range stop.Workloads {
		name := strings.TrimPrefix(w.Name, "deployment/")
		if done := name == "web"; done != (w.Status == Done) || done != strings.Contains(stop.Diff, "for-"+name) || w.Excepted != (name == "db") {
			t.Errorf("%+v\n%s", w, stop.Diff)
		}
	}
}
