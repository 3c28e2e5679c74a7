package cli

import (
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

// The lines to try are pasted into a shell, and their paths come from a file.
func TestLinesToTryStayOneWord(t *testing.T) {
	a := &app.App{Config: &app.Config{Foothold: app.Foothold{Command: &app.Hole{Path: "/?c={command}';reboot;'"}}}}
	for _, l := range describe(&walk.Report{}, a, "127.0.0.1:1", false).Lines {
		if strings.Count(l, "'") != 2 {
			t.Errorf("got %s", l)
		}
	}
}
