package walk

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"road/internal/app"
	"road/internal/sandbox"

	appsv1 "k8s.io/api/apps/v1"
)

// firstStart is the name of the check that anew makes.
const firstStart = "first start"

// keepsData says whether a workload has volume claims, whose content goes from
// stop to stop.
func keepsData(a *app.App) bool {
	for _, wl := range a.Workloads {
		if s, ok := wl.Typed.(*appsv1.StatefulSet); ok && len(s.Spec.VolumeClaimTemplates) > 0 {
			return true
		}
		for _, v := range wl.Pod.Volumes {
			if v.PersistentVolumeClaim != nil || v.Ephemeral != nil {
				return true
			}
		}
	}
	return false
}

// A freshStart is what came of a start on empty volumes.
type freshStart struct {
	stop *Stop
	why  string // it does not work
}

// anew starts the application as it stands at the end of the road on empty
// volumes, as who installs it does, and asks its checks: on the road each stop
// found the data of the one before, and a first start may need more. Where it does
// not work, the first stop that does not is the one that is broken. What came of
// it is told by tellAnew, when nobody attacks that stop any more.
func (w *walker) anew(ctx context.Context) error {
	stop := w.lastDone()
	if stop == nil || !keepsData(w.app) {
		return nil
	}
	why, err := w.freshly(ctx, w.app, stop.Number)
	if err != nil {
		return err
	}
	earlier := slices.DeleteFunc(slices.Clone(w.standings), func(s standing) bool { return s.stop.Status != Done || s.stop.Number < 2 })
	for i := len(earlier) - 2; why != "" && i >= 0; i-- {
		s := earlier[i]
		before, err := w.freshly(ctx, s.app, s.stop.Number)
		if err != nil {
			return err
		}
		if before == "" {
			break
		}
		stop, why = s.stop, before
	}
	w.fresh = &freshStart{stop, why}
	return nil
}

func (w *walker) tellAnew() {
	f := w.fresh
	if f == nil {
		return
	}
	res := CheckResult{Name: firstStart, OK: f.why == "", Detail: cmp.Or(f.why, "on empty volumes")}
	f.stop.Works.Checks = append(f.stop.Works.Checks, res)
	if f.why != "" {
		f.stop.Works.Verdict = "broken"
	}
	w.emit(CheckDone{f.stop.Number, res})
}

// freshly says how the application fails on empty volumes, "" where it works.
func (w *walker) freshly(ctx context.Context, a *app.App, number int) (string, error) {
	a = apart(a)
	l := &lane{dir: a.Root, app: a}
	defer w.end(ctx, l)
	var late *sandbox.NotReadyError
	switch err := w.run(ctx, l, a, &Stop{Number: number, Silent: true}); {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.As(err, &late):
		return w.mask.line(fmt.Sprintf("on empty volumes: %v%s", late, w.lastWords(late.Logs))), nil
	case err != nil:
		return "", err
	}
	works, failed := w.checks(ctx, l, &Stop{Number: number, Silent: true})
	if ctx.Err() != nil || len(failed) == 0 {
		return "", ctx.Err()
	}
	return "on empty volumes: check " + failed[0].Name + " fails: " + detailFor(works, failed[0].Name), nil
}

// lastDone is the last stop that changed the application, nil where none did.
func (w *walker) lastDone() *Stop {
	for i := len(w.report.Stops) - 1; i > 0; i-- {
		if w.report.Stops[i].Status == Done {
			return w.report.Stops[i]
		}
	}
	return nil
}
