package oci

import (
	"fmt"

	"road/internal/sandbox"
	"road/internal/sandbox/oci/pod"
)

// Unready gives the workloads whose pods will not get ready, or are servers that
// are not ready at this moment, each once.
func (d *deployment) Unready() []*sandbox.NotReadyError {
	var out []*sandbox.NotReadyError
	for _, w := range d.app.Workloads {
		for _, m := range d.of(w.ID()) {
			if reason := unready(m.pod.Status(), w.Finite()); reason != "" {
				out = append(out, &sandbox.NotReadyError{Workload: w.ID(), Reason: reason, Logs: m.pod.Logs("", 20)})
				break
			}
		}
	}
	return out
}

// unready says why a pod in that state is not ready; "" where it is, or is a job
// that is still at work.
func unready(s pod.Status, finite bool) string {
	switch {
	case s.Completed || s.Ready && !finite:
		return ""
	case s.Failed != "":
		return s.Failed
	case finite:
		return ""
	}
	for _, c := range s.Containers {
		if c.Ready || c.Phase == pod.Terminated && c.ExitCode == 0 {
			continue
		}
		if c.Phase == pod.Running || c.Reason == "" {
			return fmt.Sprintf("container %s is %s and not ready", c.Name, c.Phase)
		}
		return fmt.Sprintf("container %s is %s (%s)", c.Name, c.Phase, c.Reason)
	}
	return "its pod is not ready"
}
