package oci

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// A pod that is to do nothing runs no init container, no sidecar and no hook. The
// one of a job that is held keeps what prepares its work.
func TestHold(t *testing.T) {
	spec := corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "first"}},
		Containers:     []corev1.Container{{Name: "web", Lifecycle: &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}, LivenessProbe: &corev1.Probe{}}},
	}
	held := spec.DeepCopy()
	hold(held)
	if len(held.InitContainers) != 1 {
		t.Error("what prepares the work is gone")
	}
	holdAlone(&spec)
	if len(spec.InitContainers) != 0 {
		t.Error("init containers run")
	}
	for _, c := range []corev1.Container{held.Containers[0], spec.Containers[0]} {
		if c.Lifecycle != nil || c.LivenessProbe != nil || len(c.Command) != 2 {
			t.Errorf("%+v", c)
		}
	}
}
