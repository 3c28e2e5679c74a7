package oci

import (
	"context"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/pod"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// mostRetries is how often what a Job starts is tried again at most: a cluster's
// default. Who allows more only waits longer for the same failure.
const mostRetries = 6

// A cluster waits 10 s before a Job's second pod, then 20 s and so on; here the
// same doubling starts small, as for containers.
const firstRetry = 100 * time.Millisecond

// jobSpec gives what a workload says of itself as a Job, nil where it is none.
func jobSpec(w *app.Workload) *batchv1.JobSpec {
	switch t := w.Typed.(type) {
	case *batchv1.Job:
		return &t.Spec
	case *batchv1.CronJob:
		return &t.Spec.JobTemplate.Spec
	}
	return nil
}

// retries is how often a workload that is meant to end is tried again.
func retries(w *app.Workload) int {
	job := jobSpec(w)
	if job == nil {
		return 0
	}
	limit := job.BackoffLimit
	if job.BackoffLimitPerIndex != nil { // one index runs here
		limit = job.BackoffLimitPerIndex
	}
	if limit == nil {
		return mostRetries
	}
	return min(mostRetries, max(0, int(*limit)))
}

// failures is how many runs of a container in a workload's pod may fail, 0 where
// nobody counts them.
func failures(w *app.Workload) int {
	if !w.Finite() {
		return 0
	}
	return retries(w) + 1
}

// through waits until a pod is ready, or has completed where it is meant to end. A
// failed pod whose containers are not restarted is made anew, as a Job does: it may
// only have begun before the server that it calls.
func (d *deployment) through(ctx context.Context, m *member) error {
	w, wait := m.workload, firstRetry
	for range retries(w) {
		err := d.memberReady(ctx, m)
		if err == nil || w.Pod.RestartPolicy != corev1.RestartPolicyNever || !failedRun(m) {
			return err
		}
		// A pod has failed when all its containers have ended.
		select {
		case <-m.pod.Done():
		case <-ctx.Done():
			return err
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return err
		}
		wait *= 2
		if err := d.remake(ctx, w); err != nil {
			return err
		}
		if m = d.firstOf(w); m == nil {
			return &sandbox.NotReadyError{Workload: w.ID(), Reason: "its pod is not admitted again"}
		}
	}
	return d.memberReady(ctx, m)
}

// failedRun says that a container of the pod ran, or was to, and failed. One with a
// fault in its spec never comes that far, and no new pod helps it.
func failedRun(m *member) bool {
	for _, c := range m.pod.Status().Containers {
		if c.Phase == pod.Terminated && c.ExitCode != 0 {
			return true
		}
	}
	return false
}

func (d *deployment) firstOf(w *app.Workload) *member {
	if ms := d.of(w.ID()); len(ms) > 0 {
		return ms[0]
	}
	return nil
}
