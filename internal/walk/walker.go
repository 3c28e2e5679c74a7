package walk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"road/internal/app"
	"road/internal/openshift"
	"road/internal/render"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// A walker is one walk that is going on.
type walker struct {
	o         Options
	plan      []planned // what is to be walked, in order
	report    *Report
	original  *lane // 1.0, never changed
	*lane           // the application where it stands
	mask      *masker
	refs      map[string]string // image name to its Ref at 1.0
	book      *book
	peaceful  bool            // no attacks
	slowest   time.Duration   // what all checks took at 1.0
	starting  time.Duration   // what getting ready took at 1.0
	noHTTP    map[string]bool // inferred checks of ports that do not speak HTTP
	beside    *beside
	standings []standing  // the application at the stops that were attacked
	entry     string      // workload that users reach, by the engine's word; "" where it has none
	fresh     *freshStart // nil where none was tried
	ready     *row        // what stands ready to be measured, nil where nothing does

	exceptions []*app.Exception // of the owner's

	mu    sync.Mutex // guards o.Events and the report's notes
	tally sync.Mutex // guards times, and how much of a stop is left
}

// A lane is one variant of the application, in its own folder, that goes its own
// way: in sequence, or alone with one step.
type lane struct {
	dir     string
	app     *app.App
	serving sandbox.Deployment // nil before the first and after the last
	claims  string             // sandbox.DeployOptions.Claims
	broken  bool               // what is served is not app as it works
	only    bool               // only to be attacked: beside the road
	took    time.Duration      // what its last start took that got ready; 0 before one
	trying  bool               // a trial takes back from a workload what it got ready with
}

// start copies and loads the application. The walker is nil where not even a
// report can be given.
func start(ctx context.Context, o Options, what string) (*walker, error) {
	o.defaults()
	w := &walker{o: o, plan: o.selected(), report: &Report{Schema: Schema, App: o.Name, Engine: o.Engine.Info()}}
	w.book, w.mask = newBook(), &masker{}
	w.report.Stops = []*Stop{}
	began := Begun{App: o.Name, Engine: w.report.Engine, Stops: []Heading{{1, "", firstTitle}}}
	for _, p := range w.plan {
		if what == "attack" {
			break
		}
		began.Stops = append(began.Stops, Heading{p.number, p.step.Name, p.step.Title})
	}
	w.emit(began)
	if len(w.plan) == 0 && what != "up" {
		return w, &InputError{Err: errors.New("no step of the road is left to walk"), Help: "leave out --only, --skip or --to"}
	}
	w.original = &lane{dir: filepath.Join(o.Dir, "first", o.Name)}
	w.lane = &lane{dir: filepath.Join(o.Dir, "work", o.Name), claims: "walk"}
	if err := copyTree(ctx, o.Root, w.original.dir); err != nil {
		return w, err
	}
	if err := linkTree(ctx, w.original.dir, w.lane.dir); err != nil {
		return w, err
	}
	for _, l := range []*lane{w.original, w.lane} {
		a, err := w.load(l.dir)
		if errors.As(err, new(*render.HostError)) {
			return w, err
		}
		if err != nil {
			return w, &InputError{Err: err}
		}
		a.Name = o.Name
		l.app = a
	}
	return w, w.learnShape()
}

// load reads a folder, with the caller's choices.
func (w *walker) load(dir string) (*app.App, error) {
	a, err := app.LoadBelow(dir, w.o.Below)
	if err != nil {
		return nil, err
	}
	for _, c := range w.o.Choices {
		a.Config.Choose(c.Step, c.Key, c.Value)
	}
	a.Config.Target.OpenShift = a.Config.Target.OpenShift || w.o.OpenShift
	return a, nil
}

// learnShape takes from the application what holds for the whole walk.
func (w *walker) learnShape() error {
	a := w.app
	if len(a.Workloads) == 0 {
		return &InputError{Err: fmt.Errorf("nothing to walk: %s has no Kubernetes workload", w.o.Root),
			Help: "give the folder that holds the manifests and the Dockerfiles, or none to walk the built-in demo"}
	}
	var err error
	if w.exceptions, err = a.Exceptions(); err != nil {
		return &InputError{Err: err}
	}
	w.mask = newMasker(a)
	w.refs = map[string]string{}
	for _, i := range a.Images {
		if _, ok := w.refs[i.Name]; !ok {
			w.refs[i.Name] = i.Ref
		}
		if i.Build != nil && i.Build.Inferred != "" {
			w.note(fmt.Sprintf("image %s is built from %s: %s", i.Ref, i.Build.Dockerfile.File, i.Build.Inferred))
		}
	}
	for _, i := range a.StandIns {
		w.refs[i.Name] = i.Ref
	}
	for _, m := range a.Missing() {
		w.note(made(m))
	}
	for _, host := range sortedKeys(a.Config.Services) {
		i := a.Config.Services[host]
		w.note(fmt.Sprintf("%s:%d: %s is served by %s, which stands in for it", app.FileName, i.Line, host, cmp.Or(i.Workload, i.Image)))
	}
	for _, o := range a.Unselected() {
		w.note(o.Pos(nil).String() + ": " + app.NoPod(o))
	}
	for _, t := range a.Twins() {
		w.note(t.Later.Pos(nil).String() + ": " + t.Say(app.Pos.String) + "; here both run")
	}
	for _, i := range slices.Concat(a.Images, a.StandIns) {
		if i.Broken != nil {
			w.note(fmt.Sprintf("image %s is not built but taken as it is: its Dockerfile could not be read: %v", i.Ref, i.Broken))
		}
	}
	for _, p := range a.Problems {
		if !p.Unread {
			w.note(step.WithHint(p.Error(), p.Hint))
			continue
		}
		w.report.Problems = append(w.report.Problems, w.mask.line(p.Error()))
	}
	if a.Config.Target.OpenShift {
		w.note(fmt.Sprintf("for OpenShift: pods that say runAsNonRoot: true run as user %d of group 0, as restricted-v2 has it; others as they say, for which OpenShift asks a grant", openshift.FirstUser))
	}
	if len(a.Config.Checks) == 0 {
		w.note("road.yaml names no checks: the application works when every pod gets ready and every Service port answers")
	}
	return nil
}

// made says what stands for an object that PATH lacks, and where to say better.
func made(m *app.Missing) string {
	where := map[string]string{"Secret": " (road.yaml: secrets)", "ConfigMap": " (road.yaml: configMaps)"}[m.Kind]
	return fmt.Sprintf("%s: PATH lacks what it refers to; made here: %s%s", m.Pos, m, where)
}

func (w *walker) note(text string) {
	w.addNote(text, false)
}

// noteOnce is note, unless that was said already. It may be called from anywhere.
func (w *walker) noteOnce(text string) { w.addNote(text, true) }

func (w *walker) addNote(text string, once bool) {
	text = w.mask.line(text)
	w.mu.Lock()
	known := once && slices.Contains(w.report.Notes, text)
	if !known {
		w.report.Notes = append(w.report.Notes, text)
	}
	w.mu.Unlock()
	if !known {
		w.emit(Note{Text: text})
	}
}

func (w *walker) emit(e Event) {
	if w.o.Events == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.o.Events(e)
}

// tell emits an event of a stop's, unless the stop only stands for a variant of it.
func (w *walker) tell(stop *Stop, e Event) {
	if !stop.Silent {
		w.emit(e)
	}
}

// phase announces a part of a stop's work; the function that it gives ends it
// and adds its time to seconds, where that is not nil.
func (w *walker) phase(stop *Stop, p Phase, seconds *float64, detail string) func(ok bool, detail string) {
	w.tell(stop, PhaseStarted{stop.Number, p, detail})
	begin := time.Now()
	return func(ok bool, detail string) {
		took := time.Since(begin)
		if seconds != nil {
			w.spent(stop, seconds, took)
		}
		w.tell(stop, PhaseDone{stop.Number, p, w.mask.line(detail), ok, took.Seconds()})
	}
}

func (w *walker) progress(stop *Stop) sandbox.Progress {
	if stop.Silent {
		return nil
	}
	return func(line string) { w.emit(Progress{stop.Number, w.mask.line(line)}) }
}

// reload reads the lane's folder again; what was seen goes along.
func (w *walker) reload(l *lane, stop int) error {
	a, err := w.load(l.dir)
	if err != nil {
		return err
	}
	a.Name, a.Seen, a.Stop = l.app.Name, l.app.Seen, stop
	l.app = a
	return nil
}

// run builds a, ends what the lane served before, and starts a in its place.
// The lane's deployment is the new one afterwards, also where it is broken.
func (w *walker) run(ctx context.Context, l *lane, a *app.App, stop *Stop) error {
	if err := w.prepare(ctx, a, stop); err != nil {
		return err
	}
	w.end(ctx, l)
	l.broken = true
	done := w.phase(stop, Starting, &stop.Parts.Start, pods(a))
	dep, err := w.o.Engine.Deploy(ctx, a, sandbox.DeployOptions{Claims: l.claims, Keep: w.keptClaims(l, stop), Attacked: l.only, Weight: w.weight(l, stop), Name: fmt.Sprintf("%d.0", stop.Number)})
	if err == nil {
		l.serving = dep
		begun := time.Now()
		if err = w.getReady(ctx, a, dep, w.patience(l)); err == nil {
			l.took = time.Since(begun)
		}
	}
	if err == nil && !l.only {
		err = w.stays(ctx, l, a, dep, stop)
	}
	l.broken = err != nil
	done(err == nil, detailOf(err, pods(a)))
	return err
}

// weight has what is attacked at 1.0 go before the others: installing a package
// takes longest of all, and the hole through which it is done has a time limit. Then
// comes the road itself: a step is left out where a check takes too long, and it must
// not be those who are attacked beside it that it waits for.
func (w *walker) weight(l *lane, stop *Stop) int {
	switch {
	case l.only && stop.Number == 1:
		return 16
	case !l.only:
		return 4
	}
	return 1
}

// keptClaims names the copy of a lane's claims as a stop found them, which the
// stop's attack begins with: data of the stop before meets it there as on the road.
func (w *walker) keptClaims(l *lane, stop *Stop) string {
	if w.peaceful || l != w.lane {
		return ""
	}
	return fmt.Sprintf("%s-%d", l.claims, stop.Number)
}

func (w *walker) prepare(ctx context.Context, a *app.App, stop *Stop) error {
	done := w.phase(stop, Building, &stop.Parts.Build, images(a))
	facts, err := w.o.Engine.Prepare(ctx, a, w.progress(stop))
	done(err == nil, detailOf(err, images(a)))
	if err != nil {
		return unread(ctx, a, err)
	}
	if a.Seen.Images == nil {
		a.Seen.Images = map[string]app.ImageFacts{}
	}
	for ref, f := range facts {
		a.Seen.Images[ref] = f
		w.mask.image(f)
		if f.Note != "" {
			w.noteOnce(f.Note)
		}
	}
	return nil
}

// unread blames the Dockerfile that would make an image, and could not be read, for
// that the image cannot be had; where none is known to, any that could not be read:
// nobody else may be meant to build it.
func unread(ctx context.Context, a *app.App, err error) error {
	if ctx.Err() != nil {
		return err
	}
	for _, i := range a.Images {
		if b := i.Broken; b != nil {
			return &InputError{Err: fmt.Errorf("%w: the Dockerfile of image %s could not be read, and %w", b, i.Ref, err), Help: b.Hint}
		}
	}
	if !slices.ContainsFunc(a.Images, func(i *app.Image) bool { return i.Build == nil }) {
		return err
	}
	for _, p := range a.Problems {
		if app.IsDockerfileName(p.File) {
			return &InputError{Err: fmt.Errorf("%w: nothing is built from this file, and %w", p, err), Help: p.Hint}
		}
	}
	return err
}

// An application that got ready at 1.0 gets so many times as long later, where a
// step may keep it from ever getting ready, and others run beside it. Where a trial
// takes back one thing after another it has just got ready in the same lane, beside
// the same others, so that start is the better measure, and less time does. Who is
// so much later without a thing needs it.
const (
	leastReady = 30 * time.Second
	leastTried = 10 * time.Second
	lateness   = 20 // times what it took
)

// patience is how long what is started in a lane may take to get ready.
func (w *walker) patience(l *lane) time.Duration {
	least, took := leastReady, w.starting
	if l.trying && l.took > 0 {
		least, took = leastTried, l.took
	}
	if took == 0 {
		return w.o.Ready
	}
	return min(w.o.Ready, max(least, (lateness*took).Round(time.Second)))
}

func (w *walker) getReady(ctx context.Context, a *app.App, dep sandbox.Deployment, patience time.Duration) error {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	begun := time.Now()
	err := dep.Ready(limit)
	if err == nil && w.starting == 0 {
		w.starting = time.Since(begun)
	}
	var known *sandbox.NotReadyError
	if err == nil || errors.As(err, &known) || limit.Err() == nil || ctx.Err() != nil {
		return err
	}
	// Nobody knows which workload it is, so all of them say their last words.
	late := &sandbox.NotReadyError{Workload: "the application", Reason: fmt.Sprintf("not ready after %s", patience)}
	for _, wl := range a.Workloads {
		if logs := strings.TrimSpace(dep.Logs(wl.ID(), 10)); logs != "" {
			late.Logs += wl.ID() + ":\n" + logs + "\n"
		}
	}
	if len(a.Workloads) == 1 {
		late.Workload = a.Workloads[0].ID()
	}
	return late
}

// firstSteady is how many times as long it has to live at 1.0, where it is not known
// to work at all.
const firstSteady = 3

// stays waits for a while where nothing else would show that a server has ended
// soon after its start, and has those that did tell why.
func (w *walker) stays(ctx context.Context, l *lane, a *app.App, dep sandbox.Deployment, stop *Stop) error {
	if !unasked(a) {
		return nil
	}
	steady := w.o.Steady
	if stop.Number == 1 {
		steady *= firstSteady
	}
	select {
	case <-time.After(steady):
	case <-ctx.Done():
		return ctx.Err()
	}
	return w.getReady(ctx, a, dep, w.patience(l))
}

// unasked says that neither a readiness probe nor a check asks one of the servers
// anything. An owner's checks say what works, so with them none is.
func unasked(a *app.App) bool {
	if len(a.Config.Checks) > 0 {
		return false
	}
	asked := map[*app.Workload]bool{}
	for _, c := range inferred(a) {
		service, _ := c.Asks()
		for _, wl := range behind(a, service) {
			asked[wl] = true
		}
	}
	return slices.ContainsFunc(a.Workloads, func(wl *app.Workload) bool {
		return !wl.Finite() && wl.Replicas > 0 && !asked[wl] &&
			slices.ContainsFunc(wl.Pod.Containers, func(c corev1.Container) bool { return c.ReadinessProbe == nil })
	})
}

// Without a readiness probe a server counts as ready long before it answers, so
// how long its checks may take is learned at 1.0, where it gets more time.
const (
	firstSettle = 6 // times Options.Settle
	slowness    = 4 // times what all checks took at 1.0: others run beside later stops
)

// settle is how long something is asked again after 1.0 that does not answer.
func (w *walker) settle() time.Duration { return max(w.o.Settle, slowness*w.slowest) }

// checks asks the application in the lane whether it works.
func (w *walker) checks(ctx context.Context, l *lane, stop *Stop) (Works, []app.Check) {
	list := l.app.Config.Checks
	works := Works{Verdict: "works", Checks: []CheckResult{}}
	if len(list) == 0 {
		list = inferred(l.app)
		works.Checks = append(works.Checks, CheckResult{"ready", true, pods(l.app) + " ready"})
		w.tell(stop, CheckDone{stop.Number, works.Checks[0]})
	}
	done := w.phase(stop, Checking, &stop.Parts.Checks, "")
	c := &checker{app: l.app, dep: l.serving, refs: w.refs, mask: w.mask, settle: w.settle()}
	if stop.Number == 1 {
		c.settle = firstSettle * w.o.Settle
	}
	begun := time.Now()
	var failed []app.Check
	for _, check := range list {
		check = w.unguess(check)
		res := c.run(ctx, check)
		check, res = w.secondGuess(ctx, c, stop, check, res)
		if ctx.Err() != nil { // an interruption says nothing of the application
			works.Verdict = "broken"
			break
		}
		works.Checks = append(works.Checks, res)
		w.tell(stop, CheckDone{stop.Number, res})
		if !res.OK {
			failed = append(failed, check)
			works.Verdict = "broken"
		}
	}
	if ctx.Err() != nil {
		done(false, "interrupted")
		return works, failed
	}
	if stop.Number == 1 && len(failed) == 0 {
		w.slowest = time.Since(begun)
	}
	done(len(failed) == 0, fmt.Sprintf("%d of %d pass", len(works.Checks)-len(failed), len(works.Checks)))
	return works, failed
}

// quickChecks runs those checks against an application beside the road that
// restart nothing: whether it works at all.
func (w *walker) quickChecks(ctx context.Context, l *lane, _ *Stop) (Works, []app.Check) {
	list := l.app.Config.Checks
	if len(list) == 0 {
		list = inferred(l.app)
	}
	works := Works{Verdict: "works", Checks: []CheckResult{}}
	c := &checker{app: l.app, dep: l.serving, refs: w.refs, mask: w.mask, settle: w.settle()}
	var failed []app.Check
	for _, check := range list {
		if check.Restart != "" || ctx.Err() != nil {
			continue
		}
		res := c.run(ctx, w.unguess(check))
		works.Checks = append(works.Checks, res)
		if !res.OK {
			failed = append(failed, check)
			works.Verdict = "broken"
		}
	}
	return works, failed
}

// end stops what the lane serves, also after a cancellation.
func (w *walker) end(ctx context.Context, l *lane) {
	if l == nil || l.serving == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err := l.serving.Stop(ctx); err != nil {
		w.note("stop the application: " + err.Error())
	}
	l.serving = nil
}

func (w *walker) stopServing(ctx context.Context) { w.end(ctx, w.lane) }

func pods(a *app.App) string {
	n := 0
	for _, w := range a.Workloads {
		n += int(w.Replicas)
	}
	return count(n, "pod")
}

func images(a *app.App) string {
	var refs []string
	for _, i := range a.Images {
		refs = append(refs, i.Ref)
	}
	return strings.Join(refs, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func detailOf(err error, otherwise string) string {
	if errors.Is(err, context.Canceled) {
		return "interrupted"
	}
	if err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n") // the whole of it comes with the error
		return line
	}
	return otherwise
}
