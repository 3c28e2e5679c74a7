package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"

	"golang.org/x/sync/errgroup"
)

// sideBySide is how many attacked pods act at once: enough to wait for several
// network time-outs together, few enough that an attack that counts processor
// time is not disturbed much.
const sideBySide = 4

// A job is one attack on one target.
type job struct {
	attack *step.Attack
	key    key
}

// attackStop has every attack of the walk run against the application as it
// stands at a stop, and the front's process shown inside and outside.
func (w *walker) attackStop(ctx context.Context, c *course) error {
	stop := c.stop
	cells := w.book.open(stop.Number, false)
	if w.peaceful {
		return nil
	}
	a, err := w.copyOf(ctx, w.lane, stop.Number)
	if err != nil {
		return err
	}
	w.standings = append(w.standings, standing{stop, apart(a)})
	l := &lane{dir: a.Root, app: a, claims: w.keptClaims(w.lane, stop), only: true}
	var jobs []job
	for _, p := range w.plan {
		jobs = append(jobs, w.jobs(p.step)...)
	}
	w.raid(c, &stop.Parts.Attacks, func(ctx context.Context) error {
		defer w.end(ctx, l)
		if err := w.run(ctx, l, a, &Stop{Number: stop.Number, Silent: true}); err != nil {
			if jobs, err = w.served(ctx, stop, a, jobs, cells, err); err != nil || len(jobs) == 0 {
				return err
			}
		}
		if err := w.evidence(ctx, l, stop); err != nil {
			return err
		}
		return w.attack(ctx, stop, InSequence, l, jobs, cells)
	})
	return nil
}

// served writes down that attacks could not be run because what they act on does
// not get ready, and gives those that can. Every other error ends the walk.
func (w *walker) served(ctx context.Context, stop *Stop, a *app.App, jobs []job, cells map[key]Cell, err error) ([]job, error) {
	var late *sandbox.NotReadyError
	if ctx.Err() != nil || !errors.As(err, &late) {
		return nil, err
	}
	w.emit(Note{stop.Number, w.mask.line("what is to be attacked does not run: " + err.Error())})
	running := late.Running
	if !serversRun(a, running) {
		running = nil
	}
	return slices.DeleteFunc(slices.Clone(jobs), func(j job) bool {
		if slices.Contains(running, j.key.target.Workload) {
			return false
		}
		w.book.write(cells, j.key, Cell{Verdict: step.Unproven, Target: targetName(j.key.target), Reason: w.mask.line("it does not run to be attacked: " + err.Error())})
		return true
	}), nil
}

// serversRun says that all that is missing among running is meant to end. An attack
// that reaches for a server which is not there would only look blocked.
func serversRun(a *app.App, running []string) bool {
	return !slices.ContainsFunc(a.Workloads, func(wl *app.Workload) bool {
		return !wl.Finite() && wl.Replicas != 0 && !slices.Contains(running, wl.ID())
	})
}

// jobs gives a step's attacks with their targets.
func (w *walker) jobs(s *step.Step) []job {
	w.book.mu.Lock()
	defer w.book.mu.Unlock()
	var jobs []job
	for i := range s.Attacks {
		a := &s.Attacks[i]
		keys := w.book.keys[a.Name]
		if keys == nil {
			for _, t := range w.targets(a) {
				keys = append(keys, key{a.Name, t})
			}
			w.book.keys[a.Name], w.book.steps[a.Name] = keys, s
		}
		for _, k := range keys {
			jobs = append(jobs, job{a, k})
		}
	}
	return jobs
}

// targets gives what an attack acts on: through a hole of the application the
// workload that has it, or without one that users reach; else every container of
// every workload.
func (w *walker) targets(a *step.Attack) []sandbox.Target {
	var hole *app.Hole
	switch a.Transport {
	case step.Command:
		hole = w.app.Config.Foothold.Command
	case step.Request:
		hole = w.app.Config.Foothold.Request
	default:
		return everyContainer(w.app.Workloads)
	}
	if hole == nil && a.Anywhere {
		return everyContainer(w.app.Workloads)
	}
	var front []*app.Workload
	if hole != nil {
		front = behind(w.app, hole.Service)
	}
	if len(front) == 0 {
		front = []*app.Workload{w.front(w.app)}
	}
	var out []sandbox.Target
	for _, wl := range front {
		if len(wl.Pod.Containers) > 0 {
			out = append(out, sandbox.Target{Workload: wl.ID(), Container: wl.Pod.Containers[0].Name})
		}
	}
	return out
}

// everyContainer gives the containers that run as long as their pods: each
// workload's own, and then its sidecars.
func everyContainer(workloads []*app.Workload) []sandbox.Target {
	var out []sandbox.Target
	for _, wl := range workloads {
		var sidecars []sandbox.Target
		for c := range wl.Containers() {
			t := sandbox.Target{Workload: wl.ID(), Container: c.Spec.Name}
			if c.Kind == app.Normal {
				out = append(out, t)
			} else if c.Sidecar() {
				sidecars = append(sidecars, t)
			}
		}
		out = append(out, sidecars...)
	}
	return out
}

// front is the workload of a that users reach: that with the hole, else the
// engine's word, else the first.
func (w *walker) front(a *app.App) *app.Workload {
	for _, h := range []*app.Hole{a.Config.Foothold.Command, a.Config.Foothold.Request} {
		if h == nil {
			continue
		}
		if b := behind(a, h.Service); len(b) > 0 {
			return b[0]
		}
	}
	if wl := a.Workload(w.entry); w.entry != "" && wl != nil {
		return wl
	}
	return a.Workloads[0]
}

// attack runs jobs against what a lane serves and writes the outcomes into cells.
// Attacks that share a scene run in order, but for those that only wait; scenes run
// side by side, but for those of one pod, whose containers share files. Then come
// those that change their container, then those that must act alone, one after
// another, each target's in one scene, and last those that may end their pod.
func (w *walker) attack(ctx context.Context, stop *Stop, side Side, l *lane, jobs []job, cells map[key]Cell) error {
	phase := Attacking
	if side != InSequence {
		phase = Control
	}
	done := w.phase(stop, phase, nil, count(len(jobs), "attack"))
	shared := map[sandbox.Target][]job{}
	var order []sandbox.Target
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	finish := func(j job, c Cell) {
		c.Target = targetName(j.key.target)
		w.book.write(cells, j.key, c)
		w.emit(AttackDone{stop.Number, side, j.attack.Name, c})
	}
	own := map[sandbox.Target][]job{}
	var alone, last []job
	for _, j := range jobs {
		if why := w.lacks(j.attack); why != "" {
			finish(j, Cell{Verdict: step.Unproven, Reason: why})
			continue
		}
		t := j.key.target
		if !slices.Contains(order, t) {
			order = append(order, t)
		}
		switch {
		case j.attack.EndsPod:
			last = append(last, j)
		case j.attack.Alone:
			alone = append(alone, j)
		case j.attack.OwnPod:
			own[t] = append(own[t], j)
		default:
			shared[t] = append(shared[t], j)
		}
	}
	begin := func(j job) { w.emit(AttackStarted{stop.Number, side, j.attack.Name, targetName(j.key.target)}) }
	scenes := map[sandbox.Target]*scenery{}
	for _, pod := range byPod(order) {
		for _, t := range pod {
			scenes[t] = &scenery{}
		}
		group.Go(func() error {
			for _, t := range pod {
				w.setUp(gctx, scenes[t], l.serving, place{t, false})
				if err := w.inScene(gctx, scenes[t], shared[t], begin, finish); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	for _, pod := range byPod(order) { // what one leaves in a volume, the others of its pod would meet
		for _, t := range pod[1:] {
			scenes[t].close()
			scenes[t] = nil
		}
	}
	// Those that change their container come when nobody needs it any more.
	clean, ownErr := w.allOwn(ctx, l.serving, own, scenes, begin, finish)
	if err = errors.Join(err, ownErr); err == nil {
		err = w.allAlone(ctx, l.serving, alone, clean, begin, finish)
	}
	if err == nil {
		err = w.allLast(ctx, l.serving, last, clean, begin, finish)
	}
	var closing sync.WaitGroup
	for _, s := range clean {
		closing.Go(s.close)
	}
	closing.Wait()
	done(err == nil, w.book.tally(cells, jobs))
	return err
}

// byPod groups targets by the pod that they are containers of, in order.
func byPod(targets []sandbox.Target) [][]sandbox.Target {
	var pods [][]sandbox.Target
	at := map[string]int{}
	for _, t := range targets {
		i, ok := at[t.Workload]
		if !ok {
			i = len(pods)
			at[t.Workload] = i
			pods = append(pods, nil)
		}
		pods[i] = append(pods[i], t)
	}
	return pods
}

// allAlone runs attacks that must act alone, one after another. Their scenes are
// set up before, side by side, but for those that are clean.
func (w *walker) allAlone(ctx context.Context, dep sandbox.Deployment, jobs []job, clean map[place]*scenery, begin func(job), finish func(job, Cell)) error {
	var settingUp sync.WaitGroup
	for _, j := range jobs {
		p := place{j.key.target, j.attack.OwnPod}
		if clean[p] == nil {
			s := &scenery{}
			clean[p] = s
			settingUp.Go(func() { w.setUp(ctx, s, dep, p) })
		}
	}
	settingUp.Wait()
	for _, j := range jobs {
		if err := w.actAlone(ctx, clean[place{j.key.target, j.attack.OwnPod}], j, begin, finish); err != nil {
			return err
		}
	}
	return nil
}

// actAlone runs an attack while no other acts that acts alone, in the whole walk.
func (w *walker) actAlone(ctx context.Context, s *scenery, j job, begin func(job), finish func(job, Cell)) error {
	if w.beside != nil {
		w.beside.alone.Lock()
		defer w.beside.alone.Unlock()
	}
	return w.inScene(ctx, s, []job{j}, begin, finish)
}

// allLast runs attacks after which a pod may be gone, those of different targets side
// by side, in the scenes that no attack has changed.
func (w *walker) allLast(ctx context.Context, dep sandbox.Deployment, jobs []job, clean map[place]*scenery, begin func(job), finish func(job, Cell)) error {
	of := map[place][]job{}
	for _, j := range jobs {
		p := place{j.key.target, true}
		of[p] = append(of[p], j)
	}
	group, gctx := errgroup.WithContext(ctx)
	for p, list := range of {
		s := clean[p]
		if s == nil {
			s = &scenery{}
			clean[p] = s
		}
		group.Go(func() error {
			if s.scene == nil && s.err == nil {
				w.setUp(gctx, s, dep, p)
			}
			for i, j := range list {
				if i > 0 {
					s.close()
					*s = scenery{}
					w.setUp(gctx, s, dep, p)
				}
				if err := w.actLast(gctx, s, j, begin, finish); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// actLast runs an attack that may end its pod while few others do, in the whole walk.
func (w *walker) actLast(ctx context.Context, s *scenery, j job, begin func(job), finish func(job, Cell)) error {
	if w.beside != nil {
		select {
		case w.beside.last <- struct{}{}:
			defer func() { <-w.beside.last }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return w.inScene(ctx, s, []job{j}, begin, finish)
}

// tally counts what jobs came to. Others may write into cells at the same time.
func (b *book) tally(cells map[key]Cell, jobs []job) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[step.Verdict]int{}
	for _, j := range jobs {
		n[cells[j.key].Verdict]++
	}
	return fmt.Sprintf("%d succeeded, %d blocked, %d unproven", n[step.Succeeded], n[step.Blocked], len(jobs)-n[step.Succeeded]-n[step.Blocked])
}

// lacks says why the engine cannot prove an attack, "" where it can.
func (w *walker) lacks(a *step.Attack) string {
	for _, need := range a.Needs {
		if why, ok := w.report.Engine.Lacks[need]; ok {
			return fmt.Sprintf("%s lacks %s: %s", w.report.Engine.Name, need, why)
		}
	}
	return ""
}

// A place is where attacks share a scene.
type place struct {
	target sandbox.Target
	fresh  bool
}

// A scenery is a scene, or why there is none.
type scenery struct {
	scene *sandbox.Scene
	err   error
}

// setUp sets up one scene.
func (w *walker) setUp(ctx context.Context, s *scenery, dep sandbox.Deployment, p place) {
	limit, cancel := context.WithTimeout(ctx, w.o.Ready)
	defer cancel()
	if s.scene, s.err = dep.Scene(limit, p.target, p.fresh); s.scene != nil {
		s.scene.First = w.original.app
	}
}

func (s *scenery) close() {
	if s != nil && s.scene != nil && s.scene.Close != nil {
		s.scene.Close()
	}
}

// allOwn runs attacks that change their container, those of different targets
// side by side. It takes the scenes over, and gives those in which none has.
func (w *walker) allOwn(ctx context.Context, dep sandbox.Deployment, own map[sandbox.Target][]job, scenes map[sandbox.Target]*scenery, begin func(job), finish func(job, Cell)) (map[place]*scenery, error) {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(sideBySide)
	var mu sync.Mutex
	clean := map[place]*scenery{}
	for t, s := range scenes {
		group.Go(func() error {
			left, err := w.inOwn(gctx, dep, t, s, own[t], begin, finish)
			mu.Lock()
			defer mu.Unlock()
			clean[place{t, true}] = left
			return err
		})
	}
	return clean, group.Wait()
}

// inOwn runs jobs that change their container: in s, where all others are over, or
// in a fresh pod, and in the same again as long as each was blocked and left nothing
// behind. It gives the scene that is left in that state, nil where none is.
func (w *walker) inOwn(ctx context.Context, dep sandbox.Deployment, t sandbox.Target, s *scenery, jobs []job, begin func(job), finish func(job, Cell)) (*scenery, error) {
	for _, j := range jobs {
		if s == nil || s.err != nil {
			s = &scenery{}
			w.setUp(ctx, s, dep, place{t, true})
		}
		clean := false
		err := w.inScene(ctx, s, []job{j}, begin, func(j job, c Cell) {
			clean = c.Verdict == step.Blocked && !c.Left
			finish(j, c)
		})
		if !clean {
			s.close()
			s = nil
		}
		if err != nil {
			return s, err
		}
	}
	return s, nil
}

// inScene runs jobs in a scene, those that only wait beside the others. Only a
// cancellation is an error.
func (w *walker) inScene(ctx context.Context, s *scenery, jobs []job, begin func(job), finish func(job, Cell)) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if s.err != nil {
		for _, j := range jobs {
			finish(j, Cell{Verdict: step.Unproven, Reason: w.mask.line("the scene could not be set up: " + s.err.Error())})
		}
		return nil
	}
	do := func(j job) {
		begin(j)
		if c := w.act(ctx, j.attack, s.scene); ctx.Err() == nil {
			finish(j, c)
		}
	}
	var beside sync.WaitGroup
	for _, j := range jobs {
		if j.attack.Waits {
			beside.Go(func() { do(j) })
		}
	}
	for _, j := range jobs {
		if !j.attack.Waits && ctx.Err() == nil {
			do(j)
		}
	}
	beside.Wait()
	return ctx.Err()
}

// act runs one attack under its time limit.
func (w *walker) act(ctx context.Context, a *step.Attack, scene *sandbox.Scene) Cell {
	limit, cancel := context.WithTimeout(ctx, w.o.Attack)
	defer cancel()
	out, err := a.Run(limit, scene)
	if scene.CodeAs != nil && scene.CodeAs() != "" {
		w.noteOnce(fmt.Sprintf("%s: code inside acts as the server does, as %s", targetName(scene.Target), scene.CodeAs()))
	}
	if scene.Under != nil && a.Transport == step.Code && scene.Under() != "" {
		out.Evidence = strings.TrimSpace(out.Evidence + "\n" + scene.Under())
	}
	c := Cell{Verdict: out.Verdict, Evidence: w.mask.evidence(out.Evidence), Reason: w.mask.line(out.Reason), Left: out.Left}
	switch {
	case errors.Is(err, sandbox.ErrNoHole):
		c.Verdict, c.Reason = step.Unproven, sandbox.ErrNoHole.Error()
	case err != nil && limit.Err() != nil:
		c.Verdict, c.Reason = step.Unproven, fmt.Sprintf("not over after %s: %s", w.o.Attack, w.mask.line(err.Error()))
	case out.Verdict == step.Blocked && limit.Err() != nil:
		// What did not come may only have been cut short.
		c.Verdict, c.Reason = step.Unproven, fmt.Sprintf("not over after %s", w.o.Attack)
	case err != nil:
		c.Verdict, c.Reason = step.Unproven, w.mask.line(err.Error())
	case out.Verdict != step.Succeeded && out.Verdict != step.Blocked:
		c.Verdict = step.Unproven
		if c.Reason == "" {
			c.Reason = "the attack could not tell"
		}
	}
	return c
}
