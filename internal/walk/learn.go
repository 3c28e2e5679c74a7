package walk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"
)

// Learn runs the application as it stands, with its checks, and makes every pod
// anew once; then it runs it again with its system calls recorded. It gives what
// both runs showed. Nothing is attacked and nothing is changed.
func Learn(ctx context.Context, o Options) (*app.Record, error) {
	o.To, o.Only, o.Skip = 1, nil, nil
	w, err := start(ctx, o, "up")
	if w == nil {
		return nil, err
	}
	w.peaceful = true
	defer w.stopServing(ctx)
	if err == nil {
		err = w.learn(ctx)
	}
	if err != nil {
		return nil, w.mask.error(interrupted(ctx, err))
	}
	e := w.report.Engine
	r := app.NewRecord(w.app, strings.TrimPrefix(e.Runtime+", kernel "+e.Kernel, ", "))
	r.Notes = w.report.Notes
	r.Seen = w.mask.seen(r.Seen)
	return r, nil
}

// seen gives what was seen without what images and logs tell of secrets. Names of
// files stay as they are: fixes write them.
func (m *masker) seen(s *app.Seen) *app.Seen {
	out := *s
	out.Images, out.Containers = map[string]app.ImageFacts{}, map[string]map[string]*app.SeenInside{}
	for ref, f := range s.Images {
		f.Entrypoint, f.Cmd, f.Env = m.each(f.Entrypoint), m.each(f.Cmd), m.each(f.Env)
		f.Note, f.Labels = m.hide(f.Note), maps.Clone(f.Labels)
		for k, v := range f.Labels {
			f.Labels[k] = m.hide(v)
		}
		out.Images[ref] = f
	}
	for id, containers := range s.Containers {
		out.Containers[id] = map[string]*app.SeenInside{}
		for name, in := range containers {
			masked := *in
			masked.Denied = slices.Clone(in.Denied)
			for i := range masked.Denied {
				masked.Denied[i].Line = m.hide(masked.Denied[i].Line)
			}
			out.Containers[id][name] = &masked
		}
	}
	return &out
}

func (m *masker) each(list []string) []string {
	out := slices.Clone(list)
	for i := range out {
		out[i] = m.hide(out[i])
	}
	return out
}

// always wants the system calls of every application.
var always = &step.Step{Name: "learn", Trace: func(*app.App) bool { return true }}

func (w *walker) learn(ctx context.Context) error {
	if err := w.first(ctx); err != nil {
		return err
	}
	stop := w.report.Stops[0]
	for _, wl := range w.app.Workloads {
		if wl.Finite() || wl.Replicas == 0 {
			continue
		}
		limit, cancel := context.WithTimeout(ctx, w.o.Ready)
		err := w.serving.Restart(limit, wl.ID())
		cancel()
		var late *sandbox.NotReadyError
		if errors.As(err, &late) && ctx.Err() == nil {
			return w.notWorking(late)
		}
		if err != nil {
			return fmt.Errorf("restart %s: %w", wl.ID(), err)
		}
	}
	if err := w.serving.Learn(ctx, w.app.Seen); err != nil {
		return fmt.Errorf("learn what the application does: %w", err)
	}
	return w.trace(ctx, w.lane, planned{1, always}, stop)
}
