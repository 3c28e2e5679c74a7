package admission

import (
	"context"
	"fmt"
	"reflect"
	"strings"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The attack of this step: what somebody does who may create pods, or an
// upgrade that brings old manifests back.
var attacks = []step.Attack{{
	Name:      "regress",
	Goal:      "bring a pod back that the road has left behind, or one that owns the node",
	Transport: step.Other,
	Run:       regress,
}}

// regress asks the API server for the pod as it was at 1.0, where that is not
// what it still is, and for a privileged one. One that is admitted is enough.
func regress(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	w := s.App.Workload(s.Target.Workload)
	if s.Control == nil || w == nil {
		return step.Outcome{}, fmt.Errorf("there is no API server to ask about %s", s.Target.Workload)
	}
	var pods []*corev1.Pod
	if old := first(s); old != nil && !same(old.Pod, w.Pod) {
		pods = append(pods, podOf(old.Meta.Labels, "as-at-1.0", *old.Pod.DeepCopy()))
	}
	pods = append(pods, podOf(w.Meta.Labels, "privileged", privileged(w.Pod.Containers[0].Image)))
	var in, out []string
	for _, p := range pods {
		a, err := s.Control.Admit(ctx, p)
		switch {
		case err != nil:
			return step.Outcome{}, err
		case a.Allowed:
			in = append(in, fmt.Sprintf("pod/%s created (server dry run)", p.Name))
		default:
			out = append(out, a.Message)
		}
	}
	if len(in) > 0 {
		return step.Outcome{Verdict: step.Succeeded, Evidence: strings.Join(append(in, out...), "\n")}, nil
	}
	if len(pods) == 1 {
		out = append(out, "the pod is as it came, so going back to it is no step back")
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(out, "\n")}, nil
}

// first gives the workload as it came.
func first(s *sandbox.Scene) *app.Workload {
	if s.First == nil {
		return nil
	}
	return s.First.Workload(s.Target.Workload)
}

// same says whether two pods are the same but for the builds of their images.
func same(a, b *corev1.PodSpec) bool {
	plain := func(s *corev1.PodSpec) *corev1.PodSpec {
		s = s.DeepCopy()
		for _, list := range [][]corev1.Container{s.InitContainers, s.Containers} {
			for i := range list {
				list[i].Image = ""
			}
		}
		return s
	}
	return reflect.DeepEqual(plain(a), plain(b))
}

// podOf makes a pod of a spec, in the namespace of the attacked one.
func podOf(labels map[string]string, name string, spec corev1.PodSpec) *corev1.Pod {
	return &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}, Spec: spec}
}

// privileged is the pod with which an attacker takes the node.
func privileged(image string) corev1.PodSpec {
	yes := true
	return corev1.PodSpec{
		HostPID: true, HostNetwork: true,
		Volumes: []corev1.Volume{{Name: "node", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}},
		Containers: []corev1.Container{{
			Name: "shell", Image: image, Command: []string{"chroot", "/node", "sh"},
			SecurityContext: &corev1.SecurityContext{Privileged: &yes},
			VolumeMounts:    []corev1.VolumeMount{{Name: "node", MountPath: "/node"}},
		}},
	}
}
