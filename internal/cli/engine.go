package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/sandbox/oci"
	"road/internal/sandbox/oci/world"

	"github.com/spf13/cobra"
)

// engineOptions choose where applications run.
type engineOptions struct {
	engine  string // "oci"
	runtime string // OCI runtime on PATH

	registry string // where images that are built here are pushed to be pinned; "" is what road.yaml says, where nothing is pushed to

	target app.Target // the clusters that are stood in for

	// detach lets what runs outlive this command, until road down. told is
	// called outside with what the inside gave to ready.
	detach bool
	told   func(json.RawMessage)
}

func (o *engineOptions) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.engine, "engine", "oci", "where the application runs: oci (this host, with an OCI runtime)")
	cmd.Flags().StringVar(&o.runtime, "runtime", "runc", "OCI runtime of the oci engine, on PATH")
	_ = cmd.RegisterFlagCompletionFunc("engine", cobra.FixedCompletions([]string{"oci"}, cobra.ShellCompDirectiveNoFileComp))
}

func (o *engineOptions) validate() error {
	if o.engine != "oci" {
		return usage(fmt.Errorf("unknown engine %q", o.engine), "the engines are: oci")
	}
	if o.registry != "" && !app.ValidRegistry(o.registry) {
		return usage(fmt.Errorf("--registry %q is no registry", o.registry), "give its name, with folders behind it perhaps: --registry registry.example.com/shop")
	}
	return nil
}

// engineMain takes over a process that the engine started for itself.
func engineMain() { oci.Main() }

// withEngine runs f with a started engine and an empty folder for copies; both
// are gone afterwards. The oci engine lives in namespaces of its own, which it
// enters by starting this program anew with the same command line: then
// withEngine gives the exit status of that process, and f runs only there. So
// nothing before withEngine may do more than read.
func withEngine(ctx context.Context, o engineOptions, f func(ctx context.Context, e sandbox.Engine, dir string) error) (err error) {
	if !oci.Inside() {
		if _, err := beside(needed...); err != nil {
			return err
		}
		status, err := oci.Enter(oci.EnterOptions{Detach: o.detach, Ready: o.told,
			Note: func(err error) { complain(os.Stderr, "note", err.Error()) }})
		if err == nil && o.detach && Status(status) == Interrupted {
			return &fault{Interrupted, context.Canceled, ""} // nobody has read what the inside said
		}
		return entered(Status(status), err)
	}
	// A panic of any goroutine ends this process by a signal, which the one outside
	// tells from an exit status of ours.
	debug.SetTraceback("crash")
	// Only what runs has to be ended with care. A command that reads files is
	// ended by the signal itself.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	dir, err := oci.Scratch()
	if err != nil {
		return fmt.Errorf("make a folder for copies: %w", err)
	}
	e, err := oci.New(ctx, oci.Options{Runtime: o.runtime, Registry: o.registry, Target: o.target,
		Waiting: func(what string) { complain(os.Stderr, "note", what) }})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	return f(ctx, e, dir)
}

// entered is how the process inside the engine ended, and what was wrong with that
// or with its remains. Whose fault it was inside counts.
func entered(s Status, err error) error {
	switch {
	case err == nil:
		return exit(s)
	case s == BadInput, s == Interrupted:
		return &fault{s, err, ""}
	}
	return err
}

// detached hands info to the process that started this one and lets it go.
func detached(info any) error { return oci.Ready(info) }

// handOver gives what a walk found to the process that started this one, which
// goes on with it when the engine is gone.
func handOver(h *handover) error { return oci.Ready(h) }

// outside says that this process has yet to enter the engine.
func outside() bool { return !oci.Inside() }

// A stray is something that runs on this host since an earlier command.
type stray struct {
	id       string
	pid      int
	detached bool
	info     json.RawMessage // what up gave to detached
}

// strays lists what still runs, after removing what dead runs left.
func strays(ctx context.Context) ([]stray, error) {
	runs, err := oci.Runs(ctx)
	if err != nil {
		return nil, err
	}
	var out []stray
	for _, r := range runs {
		out = append(out, stray{r.ID, r.PID, r.Detached, r.Info})
	}
	return out, nil
}

// end ends one of them.
func (s *stray) end() error { return oci.End(s.id) }

// stateDir is where the engine keeps images and caches between runs.
func stateDir() string { return world.StateDir() }
