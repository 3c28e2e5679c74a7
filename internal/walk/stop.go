package walk

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/step"
)

// firstTitle is the title of stop 1.
const firstTitle = "As it came"

// maxTries bounds how often a step is fixed anew with what a failed run showed.
const maxTries = 6

// first runs the application as it came, which has to work.
func (w *walker) first(ctx context.Context) error {
	c := w.begin(1, "", firstTitle)
	stop := c.stop
	stop.Status = Done
	err := w.run(ctx, w.lane, w.app, stop)
	if w.serving != nil { // also where it does not work: that may be why
		for _, n := range w.serving.Notes() {
			w.note(n)
		}
	}
	if err != nil {
		return w.notWorking(err)
	}
	works, failed := w.checks(ctx, w.lane, stop)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	stop.Works = works
	if len(failed) > 0 {
		return w.failing(works, failed)
	}
	if missing := w.unserved(); missing != "" {
		w.note(missing)
	}
	if err := w.serving.Learn(ctx, w.app.Seen); err != nil {
		return fmt.Errorf("learn what the application does: %w", err)
	}
	w.original.app.Seen = cloneSeen(w.app.Seen)
	w.entry, _ = w.serving.Front()
	for _, p := range w.plan {
		w.jobs(p.step) // the targets are those of 1.0
	}
	w.figures(stop)
	if err := w.attackStop(ctx, c); err != nil {
		return err
	}
	c.walked()
	return nil
}

// notWorking makes an error of the application's of an error at 1.0 where it is
// the application's.
func (w *walker) notWorking(err error) error {
	var n *sandbox.NotReadyError
	if !errors.As(err, &n) {
		return err
	}
	reasons, logs := blame(w.unready(n))
	return &InputError{Err: fmt.Errorf("the application does not work as it came: %s", w.mask.line(reasons)),
		Logs: w.mask.evidence(logs), Help: cmp.Or(w.unserved(), "make it work first: every pod has to get ready, with every Secret and ConfigMap that it names (road.yaml: secrets)")}
}

// unserved says which names the application looks up that nobody knows, and how
// others can stand in for them; "" where it looks up none.
func (w *walker) unserved() string {
	if w.serving == nil {
		return ""
	}
	names := w.serving.Unresolved()
	if len(names) == 0 {
		return ""
	}
	return w.mask.line(fmt.Sprintf("it looks up %s, which nothing serves here: %s can say what stands in for it (services: {%s: {image: NAME, port: PORT}})",
		strings.Join(names, ", "), app.FileName, names[0]))
}

func (w *walker) failing(works Works, failed []app.Check) error {
	e := &InputError{Help: cmp.Or(w.unserved(), "make it work first, or correct the checks in road.yaml")}
	var lines []string
	for _, c := range works.Checks {
		if !c.OK {
			lines = append(lines, fmt.Sprintf("check %s: %s", c.Name, c.Detail))
		}
	}
	e.Err = fmt.Errorf("the application does not work as it came: %s", strings.Join(lines, "; "))
	logs := ""
	for _, id := range culprits(w.app, failed) {
		logs += id + ":\n" + w.serving.Logs(id, 10) + "\n"
	}
	e.Logs = w.mask.evidence(logs)
	return e
}

// next takes one step.
func (w *walker) next(ctx context.Context, p planned) error {
	c := w.begin(p.number, p.step.Name, p.step.Title)
	stop := c.stop
	w.app.Stop = p.number
	if err := w.publish(ctx, w.lane, p, stop); err != nil {
		return err
	}
	findings := p.step.Check(w.app)
	stop.Findings = reported(findings, w.mask)
	before := w.report.Stops[len(w.report.Stops)-1]
	stop.Works = before.Works
	var kept *change
	if len(findings) == 0 {
		stop.Status = Already
		stop.Workloads = w.workloads(nil, nil, nil)
	} else {
		t, err := w.take(ctx, w.lane, p, stop)
		if err != nil {
			return err
		}
		stop.Workloads = w.workloads(findings, w.unspared(p.step, p.step.Check(w.app)), t.leftOut)
		w.except(p.step, stop)
		for i, r := range stop.Workloads {
			if r.Status == Done {
				stop.Workloads[i].Exceptions = append(r.Exceptions, w.conceded(t, r.Name)...)
			}
		}
		stop.Diff, stop.Reason = w.mask.text(t.diff), w.mask.line(t.reason)
		stop.Status, stop.Tried = LeftOut, w.mask.text(t.first)
		if t.diff != "" {
			stop.Status, stop.Tried = Done, ""
			stop.Works, kept = t.works, t.change
			if err := w.serving.Learn(ctx, w.app.Seen); err != nil {
				return fmt.Errorf("learn what the application does: %w", err)
			}
		}
	}
	w.figures(stop)
	if err := w.prove(ctx, p, c); err != nil {
		return err
	}
	c.walked()
	w.keep(stop, kept)
	return nil
}

// taken is what became of a step in a lane.
type taken struct {
	diff    string // "" where the step was left out
	first   string // the diff of the first try, "" where there was nothing to try
	change  *change
	reason  string // why, then
	works   Works
	leftOut map[string]string   // by workload: why it was left out
	tried   map[string]bool     // by workload: a trial was made
	kept    map[string]string   // by workload: what a trial showed that it needs
	keeps   map[string][]string // by workload: what the step itself leaves

	retraced bool // system calls were recorded once more
}

// take fixes, builds and runs a step in a lane until the application works with
// it. What the application lacks is learned and the fix asked again; a workload
// that still does not work is left out; where nothing is left, the lane is as it
// was before.
func (w *walker) take(ctx context.Context, l *lane, p planned, stop *Stop) (*taken, error) {
	t := &taken{leftOut: step.Spared(w.exceptions, p.step, l.app, w.o.Now), tried: map[string]bool{}, kept: map[string]string{}}
	if err := w.trace(ctx, l, p, stop); err != nil {
		return nil, err
	}
	previous, images := l.app, maps.Clone(l.app.Seen.Images)
	for try := 1; ; try++ {
		c, err := w.fix(l, p, t.leftOut)
		if err != nil {
			t.reason = err.Error()
			break
		}
		if c == nil {
			t.reason = reasons(t.leftOut, p.step.Check(l.app))
			break
		}
		if try == 1 {
			t.first = c.diff
		}
		if try == 1 && l == w.lane {
			w.emit(Found{stop.Number, stop.Findings, w.mask.text(c.diff)})
		}
		keeps := keptBy(p.step, l.app)
		broken, err := w.attempt(ctx, l, c, stop, t)
		if err != nil {
			return nil, err
		}
		if broken == nil {
			t.diff, t.change, t.keeps = c.diff, c, keeps
			return t, nil
		}
		before := lessons(previous.Seen)
		if l.serving != nil {
			err := errors.Join(l.serving.Learn(ctx, previous.Seen), l.serving.Refused(previous.Seen))
			if err != nil && ctx.Err() != nil {
				return nil, err
			}
		}
		if err := w.restore(l, c, previous, images); err != nil {
			return nil, err
		}
		if err := w.traceAgain(ctx, l, p, stop, t, broken); err != nil {
			return nil, err
		}
		if p.step.Learn != nil && len(broken.workloads) == 1 {
			p.step.Learn(l.app, broken.workloads[0], broken.log)
		}
		learned := lessons(previous.Seen) != before
		w.emit(Note{stop.Number, w.mask.line(fmt.Sprintf("%s: %s%s", w.about(l, p), broken.reason, map[bool]string{true: "; trying again with what it showed"}[learned]))})
		if learned && try < maxTries {
			continue
		}
		if l == w.lane || !broken.ready { // a trial fails many checks, and each takes its time
			if found, err := w.trial(ctx, l, p, stop, t, broken); err != nil {
				return nil, err
			} else if found {
				continue
			}
		}
		for _, id := range broken.workloads {
			t.leftOut[id] = broken.reason
		}
		if try >= 2*maxTries {
			t.reason = broken.reason
			break
		}
	}
	return t, w.back(ctx, l, stop)
}

// about says which variant of the application a note is about.
func (w *walker) about(l *lane, p planned) string {
	if l == w.lane {
		return p.step.Name
	}
	return p.step.Name + " alone"
}

// back starts the lane's application again as it was, where a failed attempt had
// taken its place.
func (w *walker) back(ctx context.Context, l *lane, stop *Stop) error {
	if l != w.lane || !l.broken {
		return nil
	}
	if err := w.run(ctx, l, l.app, stop); err != nil {
		return fmt.Errorf("the application does not come back as it was at the stop before: %w", err)
	}
	return nil
}

// A fault is how the application failed with a step.
type fault struct {
	workloads []string // whose fault it may be
	reason    string
	log       string // the last lines of the first of them
	ready     bool   // it got ready, and a check failed
}

// attempt writes a change, loads, builds, runs and checks it. An error ends the
// walk; a fault is the step's.
func (w *walker) attempt(ctx context.Context, l *lane, c *change, stop *Stop, t *taken) (*fault, error) {
	everyone := func() []string {
		var ids []string
		for _, wl := range l.app.Workloads {
			if _, out := t.leftOut[wl.ID()]; !out {
				ids = append(ids, wl.ID())
			}
		}
		return ids
	}
	if err := edit.Write(l.dir, c.after); err != nil {
		return nil, fmt.Errorf("write the fix: %w", err)
	}
	if err := w.reload(l, stop.Number); err != nil {
		return &fault{workloads: everyone(), reason: "the fixed files do not load: " + err.Error()}, nil
	}
	err := w.run(ctx, l, l.app, stop)
	var n *sandbox.NotReadyError
	var host *sandbox.HostError
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &host):
		return nil, err // says nothing about the step
	case errors.As(err, &n):
		f := &fault{workloads: []string{n.Workload}, reason: n.Error() + w.lastWords(n.Logs), log: n.Logs}
		if l.app.Workload(n.Workload) == nil || t.leftOut[n.Workload] != "" {
			f.workloads = everyone()
		}
		return f, nil
	case err != nil:
		return &fault{workloads: everyone(), reason: err.Error()}, nil
	}
	check := w.checks
	if l != w.lane {
		check = w.quickChecks
	}
	works, failed := check(ctx, l, stop)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	t.works = works
	if len(failed) == 0 {
		return nil, nil
	}
	l.broken = true
	f := &fault{workloads: culprits(l.app, failed), ready: true}
	for _, c := range works.Checks {
		if !c.OK {
			f.reason = fmt.Sprintf("check %s fails: %s", c.Name, c.Detail)
			break
		}
	}
	fresh := f.workloads[:0]
	for _, id := range f.workloads {
		if t.leftOut[id] == "" {
			fresh = append(fresh, id)
		}
	}
	if f.workloads = fresh; len(fresh) == 0 {
		f.workloads = everyone()
	}
	if len(f.workloads) == 1 {
		f.log = l.serving.Logs(f.workloads[0], learnLines)
		f.reason += w.lastWords(f.log)
	}
	return f, nil
}

// culprits gives the workloads behind the Services of failed checks; all of
// them where a check names none.
func culprits(a *app.App, failed []app.Check) []string {
	found := map[string]bool{}
	for _, c := range failed {
		service, _ := c.Asks()
		for _, wl := range behind(a, service) {
			found[wl.ID()] = true
		}
		if wl := a.Workload(c.Restart); c.Restart != "" && wl != nil {
			found[wl.ID()] = true
		}
	}
	var ids []string
	for _, wl := range a.Workloads {
		if len(found) == 0 || found[wl.ID()] {
			ids = append(ids, wl.ID())
		}
	}
	return ids
}

// workloads says what the step did to each workload.
func (w *walker) workloads(before, after []step.Finding, leftOut map[string]string) []WorkloadResult {
	of := func(list []step.Finding, id string) string {
		for _, f := range list {
			if f.Workload == id {
				return step.WithHint(f.Message, f.Hint)
			}
		}
		return ""
	}
	var out []WorkloadResult
	for _, wl := range w.app.Workloads {
		id := wl.ID()
		r := WorkloadResult{Name: id, Status: Already, Exceptions: []string{}}
		if of(before, id) != "" {
			r.Status = Done
		}
		if left := of(after, id); left != "" {
			r.Status, r.Reason = LeftOut, left
		}
		if why, ok := leftOut[id]; ok && r.Status != Already {
			r.Status, r.Reason = LeftOut, why
		}
		r.Reason = w.mask.line(r.Reason)
		out = append(out, r)
	}
	return out
}

func reported(findings []step.Finding, m *masker) []Finding {
	var out []Finding
	for _, f := range findings {
		out = append(out, Finding{f.File, f.Line, f.Workload, f.Container, m.line(f.Message), m.line(f.Hint)})
	}
	return out
}

// reasons puts why a step was left out into one line.
func reasons(leftOut map[string]string, rest []step.Finding) string {
	var lines []string
	for _, id := range sortedKeys(leftOut) {
		lines = append(lines, id+": "+leftOut[id])
	}
	if len(lines) == 0 {
		lines = remaining(rest)
	}
	if len(lines) == 0 {
		return "there is nothing that the step could change"
	}
	return strings.Join(lines, "; ")
}

// remaining says what is left of a step, each thing once, and what to do about it
// behind the last of those for which that is the same.
func remaining(rest []step.Finding) []string {
	var lines, hints []string
	for _, f := range rest {
		if line := f.Pos.String() + ": " + f.Message; !slices.Contains(lines, line) {
			lines, hints = append(lines, line), append(hints, f.Hint)
		}
	}
	for i, hint := range hints {
		if !slices.Contains(hints[i+1:], hint) {
			lines[i] = step.WithHint(lines[i], hint)
		}
	}
	return lines
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func jsonOf(v any) string {
	b, _ := json.Marshal(v) // maps of plain values: cannot fail
	return string(b)
}

// lessons is what a failed run can teach a fix. What it opened is not among that:
// the file that was missing could not be opened.
func lessons(s *app.Seen) string {
	s = cloneSeen(s)
	for _, containers := range s.Containers {
		for _, in := range containers {
			in.Opened, in.Ran, in.Links, in.Packages = nil, nil, nil, nil
		}
	}
	return jsonOf(s.Containers)
}

func cloneSeen(s *app.Seen) *app.Seen {
	out := &app.Seen{}
	_ = json.Unmarshal([]byte(jsonOf(s)), out) // what Marshal wrote
	return out
}

// A change is a fix as files.
type change struct {
	before, after edit.Files // only the files that differ; new ones are not in before
	diff          string
}

// restore makes a lane's files and its application what they were before a change
// that failed: what was seen in images that were built with it holds for them alone.
func (w *walker) restore(l *lane, c *change, previous *app.App, images map[string]app.ImageFacts) error {
	if err := c.undo(l.dir); err != nil {
		return err
	}
	l.app = previous
	previous.Seen.Images = maps.Clone(images)
	return nil
}

// undo puts the files back as they were.
func (c *change) undo(dir string) error {
	for name := range c.after {
		if _, was := c.before[name]; !was {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return err
			}
		}
	}
	return edit.Write(dir, c.before)
}
