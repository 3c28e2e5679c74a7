package walk

import (
	"context"
	"errors"
	"fmt"

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

// anew starts the application as it stands at the end of the road on empty
// volumes, as who installs it does, and asks its checks: on the road each stop
// found the data of the one before, and a first start may need more.
func (w *walker) anew(ctx context.Context) error {
	stop := w.lastDone()
	if stop == nil || !keepsData(w.app) {
		return nil
	}
	l := &lane{dir: w.lane.dir, app: w.app}
	defer w.end(ctx, l)
	res := CheckResult{Name: firstStart, OK: true, Detail: "on empty volumes"}
	var late *sandbox.NotReadyError
	switch err := w.run(ctx, l, w.app, &Stop{Number: stop.Number, Silent: true}); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &late):
		res.OK, res.Detail = false, w.mask.line(fmt.Sprintf("on empty volumes: %v%s", late, w.lastWords(late.Logs)))
	case err != nil:
		return err
	default:
		works, failed := w.checks(ctx, l, &Stop{Number: stop.Number, Silent: true})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(failed) > 0 {
			res.OK, res.Detail = false, "on empty volumes: check "+failed[0].Name+" fails: "+detailFor(works, failed[0].Name)
		}
	}
	stop.Works.Checks = append(stop.Works.Checks, res)
	if !res.OK {
		stop.Works.Verdict = "broken"
	}
	w.emit(CheckDone{stop.Number, res})
	return nil
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
