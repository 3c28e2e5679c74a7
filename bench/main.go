// Command bench measures what road promises in figures, and prints each beside
// its goal. It is no test: a goal that is missed is said, with exit status 0.
//
//	bench [flags] [check] [serve] [start] [walk]
//
// See README.md for what each part does and how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"road/internal/sandbox/oci"
)

// The parts, in the order in which they run. Those that need an engine follow
// each other: they run in one world.
const (
	partCheck = "check"
	partServe = "serve"
	partStart = "start"
	partWalk  = "walk"
)

var everyPart = []string{partCheck, partServe, partStart, partWalk}

// options are the command line.
type options struct {
	road   string        // the program that is measured
	record string        // of a walk; "" makes one
	run    time.Duration // of each run of serve
	pairs  int           // of serve and start
	parts  []string
}

func main() {
	oci.Main()
	o, err := parse()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status := 0
	if oci.Inside() {
		err = inside(ctx, o)
	} else {
		status, err = outside(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func parse() (options, error) {
	self, err := os.Executable()
	if err != nil {
		return options{}, err
	}
	var o options
	flag.StringVar(&o.road, "road", filepath.Join(filepath.Dir(self), "road"), "the `program` that is measured")
	flag.StringVar(&o.record, "record", "", "read the walk's figures from this `file` of road walk -o json")
	flag.DurationVar(&o.run, "run", 2*time.Second, "how long each run of serve takes")
	flag.IntVar(&o.pairs, "pairs", 10, "how many pairs of runs serve and start make")
	flag.Parse()
	if o.parts = flag.Args(); len(o.parts) == 0 {
		o.parts = everyPart
	}
	for _, p := range o.parts {
		if !slices.Contains(everyPart, p) {
			err = errors.Join(err, fmt.Errorf("no part is called %q: the parts are %s", p, strings.Join(everyPart, ", ")))
		}
	}
	if o.pairs < 1 || o.run <= 0 {
		err = errors.Join(err, errors.New("-pairs and -run must be more than nothing"))
	}
	return o, err
}

// outside runs what needs no engine, and enters a world for the rest.
func outside(ctx context.Context, o options) (status int, err error) {
	head()
	var errs []error
	if slices.Contains(o.parts, partCheck) {
		errs = append(errs, part(ctx, partCheck, func(ctx context.Context) error { return check(ctx, o.road) }))
	}
	if slices.Contains(o.parts, partServe) || slices.Contains(o.parts, partStart) {
		status, err = oci.Enter(oci.EnterOptions{}) // runs this program again, which comes to inside
		errs = append(errs, err)
	}
	if slices.Contains(o.parts, partWalk) && ctx.Err() == nil {
		errs = append(errs, part(ctx, partWalk, func(ctx context.Context) error { return walked(ctx, o) }))
	}
	return status, errors.Join(errs...)
}

// inside runs the parts that need an engine.
func inside(ctx context.Context, o options) (err error) {
	e, err := oci.New(ctx, oci.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	var errs []error
	if slices.Contains(o.parts, partServe) {
		errs = append(errs, part(ctx, partServe, func(ctx context.Context) error { return serve(ctx, e, o) }))
	}
	if slices.Contains(o.parts, partStart) && ctx.Err() == nil {
		errs = append(errs, part(ctx, partStart, func(ctx context.Context) error { return start(ctx, e, o) }))
	}
	return errors.Join(errs...)
}

// part runs one and says before and after how busy others keep the machine,
// because a figure from a busy machine is none.
func part(ctx context.Context, name string, f func(context.Context) error) error {
	if err := noteOthers(name + ": before it"); err != nil {
		return err
	}
	if err := f(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return noteOthers(name + ": after it")
}

func noteOthers(when string) error {
	busy, err := othersBusy()
	if err != nil {
		return err
	}
	note("%s, others kept %.1f processors busy", when, busy)
	return nil
}
