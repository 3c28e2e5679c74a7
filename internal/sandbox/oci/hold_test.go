package oci

import (
	"slices"
	"testing"

	"road/internal/probe"
	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// A pod that is to do nothing runs no init container and no hook, and its sidecars
// do nothing either. The one of a job that is held keeps what prepares its work.
func TestHold(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	spec := corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "first"}, {Name: "side", RestartPolicy: &always, StartupProbe: &corev1.Probe{}}},
		Containers:     []corev1.Container{{Name: "web", Lifecycle: &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{}}, LivenessProbe: &corev1.Probe{}}},
	}
	held := spec.DeepCopy()
	hold(held)
	if len(held.InitContainers) != 2 || held.InitContainers[1].Command != nil {
		t.Error("what prepares the work is gone")
	}
	holdAlone(&spec)
	if in := spec.InitContainers; len(in) != 1 || in[0].Name != "side" || len(in[0].Command) != 2 || in[0].StartupProbe != nil {
		t.Errorf("init containers run, or no sidecar: %+v", in)
	}
	for _, c := range []corev1.Container{held.Containers[0], spec.Containers[0]} {
		if c.Lifecycle != nil || c.LivenessProbe != nil || len(c.Command) != 2 {
			t.Errorf("%+v", c)
		}
	}
}

// A sidecar can be attacked as any container, in a pod that works and in one that
// does nothing.
func TestSandboxSidecarScene(t *testing.T) {
	a := demoAt(t, 1)
	spec := a.Workload(web).Pod
	always := corev1.ContainerRestartPolicyAlways
	spec.InitContainers = append(spec.InitContainers, corev1.Container{Name: "side", Image: spec.Containers[0].Image, Command: []string{"sleep", "1000"},
		Env: []corev1.EnvVar{{Name: "WHO", Value: "side"}}, RestartPolicy: &always})
	d := deploy(t, a)
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: web, Container: "side"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	held, err := s.Fresh(t.Context(), s.Hold)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for name, s := range map[string]*sandbox.Scene{"of the application": s, "held": held} {
		var env []string
		if err := s.Foothold.Code(t.Context(), probe.Environ, nil, &env); err != nil || !slices.Contains(env, "WHO=side") {
			t.Errorf("%s: the probe sees %v, %v", name, env, err)
		}
		if list, err := s.Node.Processes(); err != nil || len(list) == 0 {
			t.Errorf("%s: the node sees %v, %v", name, list, err)
		}
	}
}
