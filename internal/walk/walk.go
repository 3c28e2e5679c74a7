// Package walk takes an application down the road: check, attack, fix, build,
// run, does it still work, attack again. It drives; what a step is stands under
// steps/, and where things run is the sandbox's business.
//
// A walk works on a copy of the application and never touches the original. It
// never ends with a broken application: a step that the application does not
// survive is left out, for one workload or for all, with the reason.
package walk

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"
)

// Options say what to walk and how. Root, Dir, Engine and Steps are needed.
type Options struct {
	Root   string       // the application's folder; it is only read
	Below  string       // where PATH lies in it: app.App.Below; "" is Root itself
	Name   string       // what the application is called; default: the base name of Root
	Dir    string       // an empty folder for the copies; the caller removes it
	Steps  []*step.Step // the whole road in order: the first leads to stop 2
	Engine sandbox.Engine

	To   int      // the last stop; 0 is the end of the road
	Only []string // names of the steps to walk; empty means all
	Skip []string // names of the steps to pass by

	Choices []Choice // beside those of road.yaml, which has the last word for single workloads

	OpenShift bool // the target is OpenShift, whatever road.yaml says

	Ready  time.Duration // how long the application may take to get ready; default 120 s
	Attack time.Duration // how long one attack may take; default 120 s
	Settle time.Duration // how long a check is tried again; default 10 s
	Steady time.Duration // how long a server has to live that nobody asks anything; default 2 s

	Now time.Time // when exceptions are judged; default: the time of the start

	Events func(Event) // told what happens, one at a time; may be nil
	Keep   func(Kept)  // told what each done step changed, in order; may be nil
}

// A Choice is one for every workload, as road.yaml has it below a step's name.
type Choice struct{ Step, Key, Value string }

// An InputError says that the application, as it came, cannot be walked: the
// user has to change something in it.
type InputError struct {
	Err  error
	Help string // what to do about it
	Logs string // the last lines of what failed, where something ran
}

// Error leaves help and logs out: they have lines of their own.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *InputError) Unwrap() error { return e.Err }

// Hint says what to do about it.
func (e *InputError) Hint() string { return e.Help }

// Walk takes the application from 1.0, or where it stands, step by step. The
// report is not nil even where the error is not: it holds what was found until
// then. An *InputError is the application's fault, every other error the
// engine's or the host's; one that wraps context.Canceled is an interruption.
func Walk(ctx context.Context, o Options) (*Report, error) {
	begun := time.Now()
	w, err := start(ctx, o, "walk")
	if w == nil {
		return nil, err
	}
	if err == nil {
		err = w.together(ctx, w.road)
	}
	w.tellAnew()
	if err == nil {
		err = w.together(ctx, w.compareAll)
	}
	if err == nil {
		err = w.loadAll(ctx)
	}
	w.dismissAll(ctx)
	w.finish(begun)
	return w.report, w.mask.error(interrupted(ctx, err))
}

// Attack runs every attack of the road once against the application as it
// stands: its blast radius. What was not seen to succeed is compared with the
// application weakened by the attack's step.
func Attack(ctx context.Context, o Options) (*Report, error) {
	begun := time.Now()
	w, err := start(ctx, o, "attack")
	if w == nil {
		return nil, err
	}
	if err == nil {
		err = w.together(ctx, func(ctx context.Context) error {
			defer w.stopServing(ctx)
			return w.first(ctx)
		})
	}
	if err == nil {
		err = w.together(ctx, w.compareAll)
	}
	if err == nil {
		w.asItStands()
	}
	w.finish(begun)
	return w.report, w.mask.error(interrupted(ctx, err))
}

// Up takes the application to the last stop of o without attacking it, and gives
// it running. The caller stops the deployment.
func Up(ctx context.Context, o Options) (sandbox.Deployment, *app.App, *Report, error) {
	w, err := travel(ctx, o)
	if w == nil {
		return nil, nil, nil, err
	}
	if err != nil {
		w.stopServing(ctx)
		return nil, nil, w.report, w.mask.error(interrupted(ctx, err))
	}
	return w.serving, w.app, w.report, nil
}

// travel takes the application to the last stop of o without attacks, and leaves
// it running. The walker is nil where not even a report can be given.
func travel(ctx context.Context, o Options) (*walker, error) {
	w, err := start(ctx, o, "up")
	if w == nil {
		return nil, err
	}
	w.peaceful = true
	if err == nil {
		err = w.way(ctx)
	}
	return w, err
}

// road walks the plan, and ends what serves when it is over: the attacks have
// deployments of their own, and so has a start on empty volumes.
func (w *walker) road(ctx context.Context) error {
	err := w.way(ctx)
	w.stopServing(ctx)
	if err == nil {
		err = w.anew(ctx)
	}
	if err == nil { // while the last attacks go on
		if rows := w.rows(); len(rows) > 0 {
			w.ready = w.standReady(ctx, rows[0])
		}
	}
	return err
}

func (w *walker) way(ctx context.Context) error {
	if err := w.first(ctx); err != nil {
		return err
	}
	for _, p := range w.plan {
		if err := w.next(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// interrupted makes sure that an error after a cancellation says so.
func interrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
	return err
}

// A planned is one step that is to be walked, with its place on the road.
type planned struct {
	number int
	step   *step.Step
}

// Select gives the numbers of the stops that o leads through, in order.
func (o *Options) Select() []int {
	var numbers []int
	for _, p := range o.selected() {
		numbers = append(numbers, p.number)
	}
	return numbers
}

func (o *Options) selected() []planned {
	var out []planned
	for i, s := range o.Steps {
		n := i + 2
		if o.To > 0 && n > o.To || len(o.Only) > 0 && !slices.Contains(o.Only, s.Name) || slices.Contains(o.Skip, s.Name) {
			continue
		}
		out = append(out, planned{n, s})
	}
	return out
}

func (o *Options) defaults() {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	if o.Ready == 0 {
		o.Ready = 120 * time.Second
	}
	if o.Attack == 0 {
		o.Attack = 120 * time.Second
	}
	if o.Steady == 0 {
		o.Steady = 2 * time.Second
	}
	if o.Settle == 0 {
		o.Settle = 10 * time.Second
	}
	if o.Name == "" {
		o.Name = filepath.Base(o.Root)
	}
}
