package oci

import (
	"testing"

	"road/internal/sandbox/oci/pod"
)

// A server that crashes is not ready; one that serves and a job that still works are no fault.
func TestUnready(t *testing.T) {
	waiting := []pod.ContainerStatus{{Name: "web", Phase: pod.Waiting, Reason: "CrashLoopBackOff"}}
	running := []pod.ContainerStatus{{Name: "web", Phase: pod.Running}}
	for name, c := range map[string]struct {
		status pod.Status
		finite bool
		want   string
	}{
		"serves":            {pod.Status{Ready: true}, false, ""},
		"has given up":      {pod.Status{Failed: "exit status 1", Containers: waiting}, false, "exit status 1"},
		"crashes":           {pod.Status{Containers: waiting}, false, "container web is waiting (CrashLoopBackOff)"},
		"starts":            {pod.Status{Containers: running}, false, "container web is running and not ready"},
		"job at work":       {pod.Status{Ready: true, Containers: running}, true, ""},
		"job has completed": {pod.Status{Completed: true}, true, ""},
		"job has failed":    {pod.Status{Ready: true, Failed: "exit status 2"}, true, "exit status 2"},
	} {
		if got := unready(c.status, c.finite); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
