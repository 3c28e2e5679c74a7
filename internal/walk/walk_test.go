package walk

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/step"

	"github.com/google/go-cmp/cmp"
)

func walked(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Walk(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// verdicts gives before, after and alone of a stop's only attack on a target.
func verdicts(t *testing.T, s *Stop, target string) []step.Verdict {
	t.Helper()
	for _, a := range s.Attacks {
		if strings.HasPrefix(a.Target, target) {
			return []step.Verdict{a.Before.Verdict, a.After.Verdict, a.Alone.Verdict}
		}
	}
	t.Fatalf("stop %d has no attack on %s", s.Number, target)
	return nil
}

func TestStepIsDoneAndProven(t *testing.T) {
	m := &memory{}
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"))
	r := walked(t, o)
	s := r.Stops[1]
	if s.Status != Done || s.Number != 2 || !strings.Contains(s.Diff, `+        a: "on"`) && !strings.Contains(s.Diff, "+        a: ") {
		t.Errorf("stop %+v\n%s", s, s.Diff)
	}
	if d := cmp.Diff([]step.Verdict{step.Succeeded, step.Blocked, step.Blocked}, verdicts(t, s, "deployment/web")); d != "" {
		t.Error(d)
	}
	if s.Attacks[0].ClosedBy != 2 {
		t.Errorf("closed by %d, want 2", s.Attacks[0].ClosedBy)
	}
	if d := cmp.Diff([]step.Verdict{step.Succeeded, step.Blocked}, r.Matrix.Rows[0].Cells); d != "" {
		t.Error(d)
	}
	if got := r.Shortfalls(true); got != nil {
		t.Errorf("shortfalls: %v", got)
	}
	// The first step alone is stop 2: nothing is run for it. Each stop is attacked
	// in a deployment of its own, with the data that the stop found.
	if d := cmp.Diff([]string{"1.0 walk", "1.0 walk-1", "2.0 walk", "2.0 walk-2"}, m.ran()); d != "" {
		t.Errorf("deployments: %s", d)
	}
	b, _ := os.ReadFile(filepath.Join(o.Root, "web.yaml"))
	if string(b) != manifest("web") {
		t.Error("the walk changed the original")
	}
}

// Where code inside is not who the manifest says, the report says so, once.
func TestCodeOfTheServer(t *testing.T) {
	m := &memory{codeAs: "uid 999, gid 999: the entry point drops root"}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a")))
	n := 0
	for _, text := range r.Notes {
		if text == "deployment/web container web: code inside acts as the server does, as "+m.codeAs {
			n++
		}
	}
	if n != 1 {
		t.Errorf("said %d times: %q", n, r.Notes)
	}
}

// An application that has the protection already is compared with itself
// weakened, and a block counts only where that was seen to fall.
func TestAlreadyThere(t *testing.T) {
	m := &memory{}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web", "a")}, labelStep("a")))
	s := r.Stops[1]
	if s.Status != Already || s.Diff != "" {
		t.Errorf("status %s, diff %q", s.Status, s.Diff)
	}
	if d := cmp.Diff([]step.Verdict{step.Blocked, step.Blocked, step.Blocked}, verdicts(t, s, "deployment/web")); d != "" {
		t.Error(d)
	}
	if w := s.Attacks[0].Weakened; w == nil || w.Verdict != step.Succeeded {
		t.Errorf("weakened: %+v", w)
	}
	if s.Attacks[0].ClosedBy != 1 {
		t.Errorf("closed by %d, want 1", s.Attacks[0].ClosedBy)
	}
}

func TestBlockedWithoutComparisonIsUnproven(t *testing.T) {
	m := &memory{}
	m.unready = func(a *app.App, w *app.Workload) string {
		if w.Meta.Labels["a"] == "" {
			return "it wants its label"
		}
		return ""
	}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web", "a")}, labelStep("a")))
	c := r.Stops[1].Attacks[0].After
	if c.Verdict != step.Unproven || !strings.Contains(c.Reason, "nothing to compare: it was not seen to succeed at 1.0") {
		t.Errorf("got %+v", c)
	}
	if r.Matrix.Rows[0].Cells[0] != step.Unproven {
		t.Errorf("matrix: %v", r.Matrix.Rows[0].Cells)
	}
	if got := r.Shortfalls(false); got != nil {
		t.Errorf("shortfalls: %v", got)
	}
	if got := r.Shortfalls(true); len(got) != 1 {
		t.Errorf("strict shortfalls: %v", got)
	}
}

// A workload that the fix breaks is left out; the others get the step, and the
// application works at the end.
func TestBrokenWorkloadIsLeftOut(t *testing.T) {
	m := &memory{}
	m.unready = func(_ *app.App, w *app.Workload) string {
		if w.Name == "db" && w.Meta.Labels["a"] != "" {
			return "container db: exit status 1"
		}
		return ""
	}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web"), "db.yaml": manifest("db")}, labelStep("a")))
	s := r.Stops[1]
	want := []WorkloadResult{
		{Name: "deployment/db", Status: LeftOut, Reason: "deployment/db does not get ready: container db: exit status 1; its last line: last words of deployment/db", Exceptions: []string{}},
		{Name: "deployment/web", Status: Done, Exceptions: []string{}},
	}
	if d := cmp.Diff(want, s.Workloads); d != "" {
		t.Error(d)
	}
	if strings.Contains(s.Diff, "db.yaml") || !strings.Contains(s.Diff, "web.yaml") {
		t.Errorf("diff:\n%s", s.Diff)
	}
	if d := cmp.Diff([]step.Verdict{step.Succeeded, step.Succeeded, step.Succeeded}, verdicts(t, s, "deployment/db")); d != "" {
		t.Error(d)
	}
	if len(r.Shortfalls(false)) == 0 {
		t.Error("no shortfall")
	}
}

func TestStepThatBreaksEverythingIsLeftOut(t *testing.T) {
	m := &memory{}
	m.unready = func(a *app.App, w *app.Workload) string {
		if w.Meta.Labels["a"] != "" {
			return "exit status 1"
		}
		return ""
	}
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"), labelStep("b"))
	r := walked(t, o)
	if s := r.Stops[1]; s.Status != LeftOut || !strings.Contains(s.Reason, "exit status 1") || s.Works.Verdict != "works" || s.Diff != "" || !strings.Contains(s.Tried, "+") {
		t.Errorf("got %+v", s)
	}
	// The road goes on from the stop before.
	if s := r.Stops[2]; s.Status != Done || strings.Contains(s.Diff, " a: ") {
		t.Errorf("got %+v\n%s", s, s.Diff)
	}
	b, _ := os.ReadFile(filepath.Join(o.Dir, "work", "shop", "web.yaml"))
	if strings.Contains(string(b), "a: on") || strings.Contains(string(b), `a: "on"`) {
		t.Errorf("the failed fix is still there:\n%s", b)
	}
}

// What a failed run showed goes into the next try of the same step.
func TestFixIsAskedAgainWithWhatWasSeen(t *testing.T) {
	m := &memory{}
	m.unready = func(_ *app.App, w *app.Workload) string {
		if w.Meta.Labels["a"] != "" && w.Meta.Annotations["a"] == "" {
			return "open /var/x: permission denied"
		}
		return ""
	}
	m.learn = func(a *app.App, s *app.Seen) {
		if w := a.Workloads[0]; w.Meta.Labels["a"] != "" {
			s.Inside(w.ID(), "web").Written = []string{"/var/x"}
		}
	}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a")))
	if s := r.Stops[1]; s.Status != Done || !strings.Contains(s.Diff, "/var/x") {
		t.Errorf("got %+v\n%s", s, s.Diff)
	}
	if d := cmp.Diff([]string{"1.0 walk", "1.0 walk-1", "2.0 walk", "2.0 walk", "2.0 walk-2"}, m.ran()); d != "" {
		t.Error(d)
	}
}

// What a try that failed built is not what the next one starts from: a fix that
// reads the image's user finds the one that the image has.
func TestAFailedTryLeavesTheImagesAsTheyWere(t *testing.T) {
	m := &memory{}
	labelled := func(a *app.App) bool { return a.Workloads[0].Meta.Labels["a"] != "" }
	m.user = func(a *app.App) string { return map[bool]string{true: "65532"}[labelled(a)] }
	m.learn = func(a *app.App, s *app.Seen) {
		if labelled(a) {
			s.Inside("deployment/web", "web").Written = []string{"/var"}
		}
	}
	m.unready = func(a *app.App, w *app.Workload) string {
		if labelled(a) && w.Meta.Annotations["a"] == "" {
			return "cannot write"
		}
		return ""
	}
	s := labelStep("a")
	fix := s.Fix
	s.Fix = func(a *app.App) ([]edit.Edit, error) {
		for ref, f := range a.Seen.Images {
			if f.User != "" {
				t.Errorf("the fix is asked with %s as user %s", ref, f.User)
			}
		}
		return fix(a)
	}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, s))
	if s := r.Stops[1]; s.Status != Done || !strings.Contains(s.Diff, "a: /var") {
		t.Errorf("%s %s\n%s", s.Status, s.Reason, s.Diff)
	}
}

// The second step alone is a variant of its own, without the first.
func TestAloneIsOneStepOnly(t *testing.T) {
	m := &memory{}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"), labelStep("b")))
	if d := cmp.Diff([]step.Verdict{step.Succeeded, step.Blocked, step.Blocked}, verdicts(t, r.Stops[2], "deployment/web")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"1.0 walk", "1.0 walk-1", "2.0 walk", "2.0 walk-2", "3.0 ", "3.0 walk", "3.0 walk-3"}, m.ran()); d != "" {
		t.Error(d)
	}
	want := [][]step.Verdict{{step.Succeeded, step.Blocked, step.Blocked}, {step.Succeeded, step.Succeeded, step.Blocked}}
	for i, row := range r.Matrix.Rows {
		if d := cmp.Diff(want[i], row.Cells); d != "" {
			t.Errorf("%s: %s", row.Attack, d)
		}
	}
}

func TestNotWorkingAtFirstIsTheInputsFault(t *testing.T) {
	m := &memory{unready: func(*app.App, *app.Workload) string { return "exit status 7" }}
	_, err := Walk(context.Background(), options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a")))
	var input *InputError
	if !errors.As(err, &input) || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(input.Logs, "last words") || input.Hint() == "" {
		t.Errorf("got %#v", err)
	}
}

func TestNeverReadyEndsAtTheLimit(t *testing.T) {
	m := &memory{unready: func(*app.App, *app.Workload) string { return "never" }}
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"))
	o.Ready = 20 * time.Millisecond
	_, err := Walk(context.Background(), o)
	var input *InputError
	if !errors.As(err, &input) || !strings.Contains(err.Error(), "not ready after 20ms") || !strings.Contains(input.Logs, "log of deployment/web") {
		t.Errorf("got %v", err)
	}
}

func TestNothingToWalk(t *testing.T) {
	var input *InputError
	_, err := Walk(context.Background(), options(t, &memory{}, map[string]string{"README": "hello"}, labelStep("a")))
	if !errors.As(err, &input) {
		t.Errorf("no workload: got %v", err)
	}
	o := options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, labelStep("a"))
	o.Skip = []string{"a"}
	if _, err := Walk(context.Background(), o); !errors.As(err, &input) {
		t.Errorf("no step: got %v", err)
	}
}

func TestAttackGetsWhatTheEngineHas(t *testing.T) {
	s := labelStep("a")
	s.Attacks[0].Needs = []sandbox.Power{sandbox.HostView}
	m := &memory{lacks: map[sandbox.Power]string{sandbox.HostView: "no window"}}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web")}, s))
	if c := r.Stops[1].Attacks[0].After; c.Verdict != step.Unproven || !strings.Contains(c.Reason, "no window") {
		t.Errorf("got %+v", c)
	}
}

func TestWhatAnAttackSaysIsNotTrusted(t *testing.T) {
	out, fails := step.Outcome{}, error(nil)
	s := labelStep("a")
	s.Attacks[0].Run = func(ctx context.Context, _ *sandbox.Scene) (step.Outcome, error) { return out, fails }
	for _, c := range []struct {
		name   string
		out    step.Outcome
		err    error
		reason string
	}{
		{"nothing", step.Outcome{}, nil, "the attack could not tell"},
		{"an error", step.Outcome{Verdict: step.Blocked}, errors.New("dial: refused"), "dial: refused"},
		{"no hole", step.Outcome{Verdict: step.Blocked}, sandbox.ErrNoHole, sandbox.ErrNoHole.Error()},
		{"an unknown verdict", step.Outcome{Verdict: "won"}, nil, "the attack could not tell"},
	} {
		out, fails = c.out, c.err
		r := walked(t, options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, s))
		if got := r.Stops[1].Attacks[0].After; got.Verdict != step.Unproven || got.Reason != c.reason {
			t.Errorf("%s: got %+v", c.name, got)
		}
	}
}

func TestAttackEndsAtTheLimit(t *testing.T) {
	for name, end := range map[string]func(error) (step.Outcome, error){
		"says so": func(err error) (step.Outcome, error) { return step.Outcome{}, err },
		"takes it to be a refusal": func(error) (step.Outcome, error) {
			return step.Outcome{Verdict: step.Blocked, Evidence: "silence"}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := labelStep("a")
			s.Attacks[0].Run = func(ctx context.Context, _ *sandbox.Scene) (step.Outcome, error) {
				<-ctx.Done()
				return end(ctx.Err())
			}
			o := options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, s)
			o.Attack = 10 * time.Millisecond
			r := walked(t, o)
			if c := r.Stops[1].Attacks[0].After; c.Verdict != step.Unproven || !strings.Contains(c.Reason, "not over after 10ms") {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// No output may carry a secret or move the reader's cursor.
func TestSecretsAndEscapesStayOut(t *testing.T) {
	const secret = "hunter2-hunter2"
	s := labelStep("a")
	run := s.Attacks[0].Run
	s.Attacks[0].Run = func(ctx context.Context, sc *sandbox.Scene) (step.Outcome, error) {
		out, err := run(ctx, sc)
		out.Evidence += "\n" + secret + " aHVudGVyMi1odW50ZXIy \x1b[2J eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
		return out, err
	}
	files := map[string]string{"web.yaml": manifest("web"),
		"secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: " + secret + "}\n"}
	o := options(t, &memory{}, files, s)
	var events []string
	o.Events = func(e Event) { events = append(events, jsonOf(e)) }
	r := walked(t, o)
	all := jsonOf(r) + strings.Join(events, "\n")
	for _, bad := range []string{secret, "aHVudGVyMi1odW50ZXIy", "c2lnbmF0dXJl", `\u001b`} {
		if strings.Contains(all, bad) {
			t.Errorf("the output holds %q", bad)
		}
	}
	if !strings.Contains(all, `***`) || !strings.Contains(all, `\\x1b[2J`) {
		t.Error("what was taken out is not marked")
	}
}

func TestCancelStopsEverything(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := labelStep("a")
	s.Attacks[0].Run = func(ctx context.Context, _ *sandbox.Scene) (step.Outcome, error) {
		cancel()
		<-ctx.Done()
		return step.Outcome{}, ctx.Err()
	}
	_, err := Walk(ctx, options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, s))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOnlySkipAndTo(t *testing.T) {
	steps := []*step.Step{labelStep("a"), labelStep("b"), labelStep("c")}
	for _, c := range []struct {
		o    Options
		want []int
	}{
		{Options{}, []int{2, 3, 4}},
		{Options{To: 3}, []int{2, 3}},
		{Options{Only: []string{"c"}}, []int{4}},
		{Options{Skip: []string{"a"}, To: 3}, []int{3}},
	} {
		c.o.Steps = steps
		if d := cmp.Diff(c.want, c.o.Select()); d != "" {
			t.Errorf("%+v: %s", c.o, d)
		}
	}
}

func TestAttackAsItStands(t *testing.T) {
	m := &memory{}
	r, err := Attack(context.Background(), options(t, m, map[string]string{"web.yaml": manifest("web", "a")}, labelStep("a"), labelStep("b")))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"break-b"}, r.SucceededAt(1)); d != "" {
		t.Error(d)
	}
	if a := r.Stops[0].Attacks[0]; a.After.Verdict != step.Blocked || a.Weakened == nil {
		t.Errorf("got %+v", a)
	}
}

func TestUpDoesNotAttack(t *testing.T) {
	s := labelStep("a")
	s.Attacks[0].Run = func(context.Context, *sandbox.Scene) (step.Outcome, error) {
		t.Error("attacked")
		return step.Outcome{}, nil
	}
	dep, a, r, err := Up(context.Background(), options(t, &memory{}, map[string]string{"web.yaml": manifest("web")}, s))
	if err != nil {
		t.Fatal(err)
	}
	defer dep.Stop(context.Background())
	if a.Workloads[0].Meta.Labels["a"] != "on" || len(r.Stops) != 2 {
		t.Errorf("labels %v, %d stops", a.Workloads[0].Meta.Labels, len(r.Stops))
	}
}

// fullDisk is an engine whose host fails from the second deployment on.
type fullDisk struct{ *memory }

func (f fullDisk) Deploy(ctx context.Context, a *app.App, o sandbox.DeployOptions) (sandbox.Deployment, error) {
	if len(f.deployed) > 0 {
		return nil, &sandbox.HostError{Err: errors.New("no space left on device")}
	}
	return f.memory.Deploy(ctx, a, o)
}

// A host that fails says nothing about the step: the step is not left out for it.
func TestHostFaultEndsTheWalk(t *testing.T) {
	m := &memory{t: t}
	o := options(t, m, map[string]string{"web.yaml": manifest("web")}, labelStep("a"))
	o.Engine = fullDisk{m}
	_, err := Walk(context.Background(), o)
	var host *sandbox.HostError
	if !errors.As(err, &host) {
		t.Errorf("got %v", err)
	}
}

// What the application asks for and does not get is said, once and from the start.
func TestNotesOfTheSandbox(t *testing.T) {
	const note = "deployment/web: hostPID: the pod does not see the host's processes"
	r := walked(t, options(t, &memory{notes: []string{note}}, map[string]string{"web.yaml": manifest("web")}, labelStep("a")))
	if n := len(slices.DeleteFunc(slices.Clone(r.Notes), func(s string) bool { return s != note })); n != 1 {
		t.Errorf("said %d times: %q", n, r.Notes)
	}
}
