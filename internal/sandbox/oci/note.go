package oci

import (
	"slices"

	"road/internal/app"
)

// Notes says of every workload what it does not get here.
func (d *deployment) Notes() []string {
	var out []string
	for _, w := range d.app.Workloads {
		notes := jobNotes(w)
		for _, m := range d.of(w.ID()) {
			notes = append(notes, m.pod.Notes()...)
		}
		slices.Sort(notes) // those of one pod come in no order
		for _, n := range slices.Compact(notes) {
			out = append(out, w.ID()+": "+n)
		}
	}
	return out
}

// jobNotes says what of a Job's own fields is left out. Its deadline is: how long
// it takes here, beside others and on another machine, says nothing of a cluster,
// and a Job that ends late must not count as one that a step broke.
func jobNotes(w *app.Workload) []string {
	job := jobSpec(w)
	if job == nil {
		return nil
	}
	var out []string
	if job.ActiveDeadlineSeconds != nil {
		out = append(out, "the Job's activeDeadlineSeconds is not enforced: what it takes here says nothing of a cluster")
	}
	if job.PodFailurePolicy != nil {
		out = append(out, "podFailurePolicy is not applied: every failure counts against backoffLimit")
	}
	return out
}
