package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/walk"
)

// Whoever was killed has explained nothing, and its status is none of road's.
func TestExitOfTheProcessInside(t *testing.T) {
	for s, want := range map[Status]Status{0: OK, 1: Findings, 2: BadInput, 3: HostFault, 130: Interrupted, 137: HostFault, 255: HostFault} {
		err := exit(s)
		if got := statusOf(err); got != want {
			t.Errorf("%d: exit status %d, want %d", s, got, want)
		}
		f, _ := err.(*fault)
		if told := f != nil && f.err != nil; told != (s == 137 || s == 255) {
			t.Errorf("%d: told %v", s, told)
		}
	}
}

// What went wrong beside the status is said, and whose fault it was stays.
func TestExitWithRemains(t *testing.T) {
	leaked := errors.New("cgroup /road/1 is still there")
	for _, c := range []struct {
		err    error
		status Status
		said   string
	}{
		{errors.Join(found, leaked), Findings, "road: error: cgroup /road/1 is still there\n"},
		{errors.Join(nil, leaked), HostFault, "road: error: cgroup /road/1 is still there\n"},
		{errors.Join(context.Canceled, leaked), Interrupted, "road: interrupted\nroad: error: cgroup /road/1 is still there\n"},
		{entered(BadInput, leaked), BadInput, "road: error: cgroup /road/1 is still there\n"},
		{entered(Interrupted, leaked), Interrupted, "road: interrupted\nroad: error: cgroup /road/1 is still there\n"},
		{entered(0, leaked), HostFault, "road: error: cgroup /road/1 is still there\n"},
		{entered(Findings, nil), Findings, ""},
		{entered(Interrupted, nil), Interrupted, ""},
		{fmt.Errorf("interrupted: %w", context.Canceled), Interrupted, "road: interrupted\n"},
		{found, Findings, ""},
	} {
		var stderr bytes.Buffer
		if got := (&command{stderr: &stderr}).report(c.err); Status(got) != c.status || stderr.String() != c.said {
			t.Errorf("%v: exit status %d, want %d; said %q, want %q", c.err, got, c.status, stderr.String(), c.said)
		}
	}
}

// The lines to try are pasted into a shell, and their paths come from a file.
func TestLinesToTryStayOneWord(t *testing.T) {
	a := &app.App{Config: &app.Config{Foothold: app.Foothold{Command: &app.Hole{Path: "/?c={command}';reboot;'"}}}}
	for _, l := range describe(&walk.Report{}, a, "127.0.0.1:1", false).Lines {
		if strings.Count(l, "'") != 2 {
			t.Errorf("got %s", l)
		}
	}
}
