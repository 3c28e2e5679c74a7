package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"
	"road/internal/step"
	"road/internal/walk"
)

// Status is how road exits. Scripts rely on it.
type Status int

// The exit statuses.
const (
	OK          Status = 0   // nothing found; every step done, none of its attacks succeeds, the application works
	Findings    Status = 1   // a weak place, an attack that succeeded, a step left out, a diff
	BadInput    Status = 2   // wrong usage, files that cannot be used, an application that does not work at 1.0
	HostFault   Status = 3   // the host or the tool: no runc, not root, no network, a port in use
	Interrupted Status = 130 // Ctrl-C or a request to end
)

// A fault is an error with its exit status and a hint. An err of nil exits
// without a word: everything has been said.
type fault struct {
	status Status
	err    error
	hint   string
}

func (f *fault) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit status %d", f.status)
	}
	return f.err.Error()
}

func (f *fault) Unwrap() error { return f.err }

// Hint says what to do about it.
func (f *fault) Hint() string { return f.hint }

// found exits with Findings.
var found = &fault{status: Findings}

// exit ends as the process inside the engine did, which has explained its status
// unless it was killed.
func exit(s Status) error {
	switch s {
	case OK:
		return nil
	case Findings, BadInput, HostFault, Interrupted:
		return &fault{status: s}
	}
	return &fault{HostFault, fmt.Errorf("the part of road that runs the application ended early, with status %d", s),
		"above 128 it was killed: by hand, or for want of memory (dmesg tells)"}
}

// usage is bad input with a hint.
func usage(err error, hint string) error { return &fault{BadInput, err, hint} }

// statusOf tells whose fault an error is.
func statusOf(err error) Status {
	var (
		f     *fault
		input *walk.InputError
		conf  *app.ConfigError
		prob  app.Problem
		build *image.BuildError
		base  *image.BaseError
	)
	switch {
	case err == nil:
		return OK
	case errors.As(err, &f):
		return f.status
	case errors.Is(err, context.Canceled):
		return Interrupted
	case errors.As(err, &base):
		return HostFault
	case errors.As(err, &input), errors.As(err, &conf), errors.As(err, &prob), errors.As(err, &build):
		return BadInput
	}
	return HostFault
}

// report writes an error and its hint to stderr and gives the exit status.
func (c *command) report(err error) int {
	status := statusOf(err)
	if err == nil {
		return int(status)
	}
	if status == Interrupted && !isTold(err) {
		fmt.Fprintln(c.stderr, "road: interrupted")
	}
	hints := map[string]bool{}
	for _, e := range leaves(err) {
		if isTold(e) || status == Interrupted && errors.Is(e, context.Canceled) {
			continue
		}
		for _, line := range lines(e) {
			complain(c.stderr, "error", line)
		}
		if hint := hintOf(e); hint != "" && !hints[hint] {
			hints[hint] = true
			complain(c.stderr, "hint", hint)
		}
	}
	var input *walk.InputError
	if errors.As(err, &input) && input.Logs != "" {
		fmt.Fprintln(c.stderr, "road: the last lines of what failed:")
		for _, l := range strings.Split(strings.TrimRight(input.Logs, "\n"), "\n") {
			fmt.Fprintln(c.stderr, "    "+l)
		}
	}
	return int(status)
}

// isTold says whether an error only carries an exit status.
func isTold(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.err == nil
}

// complain writes text under "road: error:", further lines of it set in.
func complain(w io.Writer, what, text string) {
	fmt.Fprintf(w, "road: %s: %s\n", what, strings.ReplaceAll(walk.Escape(strings.TrimSpace(text)), "\n", "\n    "))
}

// leaves takes joined errors apart, down to those that carry a hint of their own.
func leaves(err error) []error {
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var out []error
	for _, e := range many.Unwrap() {
		out = append(out, leaves(e)...)
	}
	return out
}

// lines gives every fault that an error tells of.
func lines(err error) []string {
	if f, ok := err.(*fault); ok {
		err = f.err
	}
	var out []string
	for _, e := range leaves(err) {
		var conf *app.ConfigError
		if !errors.As(e, &conf) {
			out = append(out, e.Error())
			continue
		}
		for _, p := range conf.Problems {
			out = append(out, step.WithHint(p.Error(), p.Hint))
		}
	}
	return out
}

// hintOf finds the first hint in err's chain.
func hintOf(err error) string {
	var host *sandbox.HostError
	if errors.As(err, &host) && host.Hint != "" {
		return host.Hint
	}
	for err != nil {
		if h, ok := err.(interface{ Hint() string }); ok && h.Hint() != "" {
			return h.Hint()
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range many.Unwrap() {
				if h := hintOf(e); h != "" {
					return h
				}
			}
			return ""
		}
		err = errors.Unwrap(err)
	}
	return ""
}
