package walk

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"road/internal/app"
	"road/internal/sandbox"
)

// trace runs the application as it stands in a lane with its system calls
// recorded, where the step that is to be taken wants to know them: its start, its
// probes, its checks with their restarts, and its end. What cannot be known is
// noted in Seen with the reason, so that the step does without. The lane serves
// nothing afterwards.
func (w *walker) trace(ctx context.Context, l *lane, p planned, stop *Stop) error {
	if p.step.Trace == nil || !p.step.Trace(l.app) {
		return nil
	}
	if why, lacks := w.report.Engine.Lacks[sandbox.Audit]; lacks {
		w.cannotTrace(l.app, allOf(l.app), notRecorded+why)
		return nil
	}
	for try := 1; ; try++ {
		fault, err := w.traceOnce(ctx, l, stop)
		var lack *sandbox.LackError
		if errors.As(err, &lack) {
			w.cannotTrace(l.app, allOf(l.app), notRecorded+lack.Reason)
			return nil
		}
		if err != nil || fault == "" {
			return err
		}
		if try == 2 { // what was lost once for want of time may come whole the next time
			w.cannotTrace(l.app, allOf(l.app), fault)
			return nil
		}
	}
}

const notRecorded = "system calls cannot be recorded on this host: "

// traceOnce gives why nothing was learned, "" where something was; an error ends
// the walk.
func (w *walker) traceOnce(ctx context.Context, l *lane, stop *Stop) (fault string, err error) {
	if err := w.prepare(ctx, l.app, stop); err != nil {
		return "", err
	}
	w.end(ctx, l)
	l.broken = true
	if err := w.traceFirst(ctx, l, stop); err != nil {
		return "", err
	}
	done := w.phase(stop, Tracing, &stop.Parts.Start, pods(l.app))
	dep, err := w.o.Engine.Deploy(ctx, l.app, sandbox.DeployOptions{Claims: l.claims, Name: fmt.Sprintf("%d.0", stop.Number), Trace: true})
	if err == nil {
		l.serving = dep
		err = w.getReady(ctx, l.app, dep, w.patience(l))
	}
	var late *sandbox.NotReadyError
	if err != nil && (ctx.Err() != nil || !errors.As(err, &late)) {
		done(false, err.Error())
		return "", err
	}
	if err != nil {
		fault = "the application does not work under the runtime's default filter: " + err.Error() + w.lastWords(late.Logs)
	} else if works, failed := w.checks(ctx, l, stop); ctx.Err() != nil {
		return "", ctx.Err()
	} else if len(failed) > 0 {
		fault = "the application does not work under the runtime's default filter: check " + failed[0].Name + " fails: " + detailFor(works, failed[0].Name)
	}
	w.end(ctx, l)
	if fault == "" {
		if err := dep.SysCalls(l.app.Seen); err != nil {
			fault = err.Error()
		} else {
			notRun(l.app)
		}
	}
	done(fault == "", detailOr(fault, tracedCalls(l.app)))
	return fault, ctx.Err()
}

// traceFirst adds what a first start calls, on empty volumes, where the application
// has any. One that does not get ready there shows nothing.
func (w *walker) traceFirst(ctx context.Context, l *lane, stop *Stop) error {
	if !keepsData(l.app) {
		return nil
	}
	first := &lane{dir: l.dir, app: l.app}
	dep, err := w.o.Engine.Deploy(ctx, l.app, sandbox.DeployOptions{Name: fmt.Sprintf("%d.0", stop.Number), Trace: true})
	if err == nil {
		first.serving = dep
		err = w.getReady(ctx, l.app, dep, w.patience(l))
	}
	w.end(ctx, first)
	var late *sandbox.NotReadyError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &late):
		return nil
	case err != nil:
		return err
	}
	if dep.SysCalls(l.app.Seen) != nil { // the next run says why
		return nil
	}
	return w.prepare(ctx, l.app, stop)
}

// traceAgain learns once more, after the application did not work under what was
// learned; what still does not work then does without.
func (w *walker) traceAgain(ctx context.Context, l *lane, p planned, stop *Stop, t *taken, broken *fault) error {
	if p.step.Trace == nil || !p.step.Trace(l.app) {
		return nil
	}
	before := jsonOf(l.app.Seen.Containers)
	if !t.retraced {
		t.retraced = true
		if err := w.trace(ctx, l, p, stop); err != nil {
			return err
		}
	}
	if jsonOf(l.app.Seen.Containers) == before {
		w.cannotTrace(l.app, broken.workloads, "the application does not work with only the calls that it was seen to make: "+broken.reason)
	}
	return nil
}

// cannotTrace notes why some workloads' system calls cannot be a filter.
func (w *walker) cannotTrace(a *app.App, workloads []string, why string) {
	for _, wl := range a.Workloads {
		if !slices.Contains(workloads, wl.ID()) {
			continue
		}
		for c := range wl.Containers() {
			in := a.Seen.Inside(wl.ID(), c.Spec.Name)
			if in.SysCalls == nil {
				in.SysCalls = &app.SysCalls{}
			}
			in.SysCalls.Fault = why
		}
	}
	w.note("no filter of its own for some containers: " + why)
}

// notRun notes that containers without any record were not seen to run.
func notRun(a *app.App) {
	for _, wl := range a.Workloads {
		for c := range wl.Containers() {
			if in := a.Seen.Inside(wl.ID(), c.Spec.Name); in.SysCalls == nil && c.Kind != app.Ephemeral {
				in.SysCalls = &app.SysCalls{Fault: "it was not seen to run"}
			}
		}
	}
}

// tracedCalls sums up what was recorded.
func tracedCalls(a *app.App) string {
	most := 0
	for _, wl := range a.Workloads {
		for _, in := range a.Seen.Containers[wl.ID()] {
			if in.SysCalls != nil {
				most = max(most, len(in.SysCalls.Names))
			}
		}
	}
	return fmt.Sprintf("at most %d system calls in one container", most)
}

func allOf(a *app.App) []string {
	var ids []string
	for _, wl := range a.Workloads {
		ids = append(ids, wl.ID())
	}
	return ids
}

func detailFor(works Works, check string) string {
	for _, c := range works.Checks {
		if c.Name == check {
			return c.Detail
		}
	}
	return ""
}

func detailOr(fault, otherwise string) string {
	if fault != "" {
		return fault
	}
	return otherwise
}
