package oci

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"

	"road/internal/sandbox"
	"road/internal/sandbox/oci/world"
)

// Inside says that this process lives in a world, where New works.
func Inside() bool { return world.Inside() != nil }

// EnterOptions say how Enter makes a world.
type EnterOptions struct {
	Detach bool                  // the world outlives this process; see world.Options
	Ready  func(json.RawMessage) // told what the worker gave to Ready
	Note   func(error)           // told what dead worlds left for good; may be nil
}

// Enter runs this program again, with the same arguments, inside a world, and
// gives its exit status.
func Enter(o EnterOptions) (status int, err error) {
	status, err = world.Enter(world.Options{Detach: o.Detach, Ready: o.Ready, Note: o.Note})
	if errors.Is(err, world.ErrNotRoot) {
		return 0, &sandbox.HostError{Err: err, Hint: "run it with sudo: network namespaces, overlay mounts and cgroups need root"}
	}
	return status, err
}

// Ready lets a detached world's parent go, and keeps info for Runs.
func Ready(info any) error { return world.Inside().Ready(info) }

// A Run is a world that lives on this host.
type Run = world.Run

// Runs lists the living worlds, oldest first, after removing what dead ones left.
// What cannot be removed is for the next Enter to tell: those that live can be
// ended all the same.
func Runs(context.Context) ([]Run, error) {
	state := world.StateDir()
	_, _ = world.Sweep(state)
	return world.List(state)
}

// End ends a world and removes what it left.
func End(id string) error { return world.End(world.StateDir(), id) }

// Scratch is a directory of the world's own on the host's disk, for copies of
// applications. It goes with the world.
func Scratch() (string, error) {
	dir := filepath.Join(world.Inside().Disk, "walk")
	return dir, os.MkdirAll(dir, 0o711)
}
