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

// regress asks the API server for pods that are weaker, and for changes that make
// the pod weaker which is there. One that is admitted is enough.
func regress(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	w := s.App.Workload(s.Target.Workload)
	if s.Control == nil || w == nil {
		return step.Outcome{}, fmt.Errorf("there is no API server to ask about %s", s.Target.Workload)
	}
	old := first(s)
	back := old != nil && !same(old.Pod, w.Pod)
	var in, out []string
	for _, t := range tries(w, old, back) {
		a, err := t.ask(ctx, s.Control)
		switch {
		case err != nil:
			return step.Outcome{}, err
		case a.Allowed:
			in = append(in, t.done())
		default:
			out = append(out, t.verb()+": "+a.Message)
		}
	}
	if len(in) > 0 {
		return step.Outcome{Verdict: step.Succeeded, Evidence: strings.Join(append(in, out...), "\n")}, nil
	}
	if !back {
		out = append(out, "the pod is as it came, so going back to it is no step back")
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(out, "\n")}, nil
}

// A try is one thing to ask the API server for.
type try struct {
	pod, was    *corev1.Pod // was is nil for a pod that is new
	subresource string
	what        string // what the update changes
}

func (t try) ask(ctx context.Context, c sandbox.Control) (sandbox.Admission, error) {
	if t.was == nil {
		return c.Admit(ctx, t.pod)
	}
	return c.Update(ctx, t.was, t.pod, t.subresource)
}

func (t try) verb() string {
	if t.was == nil {
		return "create"
	}
	return "update"
}

// done says in kubectl's manner that it was admitted.
func (t try) done() string {
	if t.was == nil {
		return fmt.Sprintf("create: pod/%s created (server dry run)", t.pod.Name)
	}
	return fmt.Sprintf("update: pod/%s %s (server dry run)", t.pod.Name, t.what)
}

// tries gives what an attacker asks for: the pod as it was at 1.0, where it can go
// back there; a privileged one; and the two ways to bring something into a pod that
// runs. Of all else in a running pod no API server takes another value.
func tries(w, old *app.Workload, back bool) []try {
	var list []try
	if back {
		list = append(list, try{pod: podOf(old.Meta.Labels, "as-at-1.0", *old.Pod.DeepCopy())})
	}
	image := w.Pod.Containers[0].Image
	list = append(list, try{pod: podOf(w.Meta.Labels, "privileged", privileged(image))})
	was := podOf(w.Meta.Labels, w.Name, *w.Pod)
	if now, images := unpinned(was, old); len(images) > 0 {
		list = append(list, try{pod: now, was: was, what: "image updated to " + strings.Join(images, ", ")})
	}
	return append(list, try{pod: debugged(was, image), was: was, subresource: "ephemeralcontainers", what: "got a privileged container to debug with"})
}

// unpinned is what kubectl set image makes of a pod whose images have digests: one
// with those of 1.0, or others that somebody can put another image behind. None
// where no image has a digest to lose.
func unpinned(was *corev1.Pod, old *app.Workload) (now *corev1.Pod, images []string) {
	now = was.DeepCopy()
	for i := range now.Spec.Containers {
		c := &now.Spec.Containers[i]
		name, _, pinned := strings.Cut(c.Image, "@")
		if !pinned {
			continue
		}
		if old != nil {
			for _, o := range old.Pod.Containers {
				if o.Name == c.Name && !strings.Contains(o.Image, "@") {
					name = o.Image
				}
			}
		}
		c.Image, images = name, append(images, name)
	}
	return now, images
}

// debugged is what kubectl debug --profile=sysadmin makes of a pod.
func debugged(was *corev1.Pod, image string) *corev1.Pod {
	now, yes := was.DeepCopy(), true
	now.Spec.EphemeralContainers = append(now.Spec.EphemeralContainers, corev1.EphemeralContainer{EphemeralContainerCommon: corev1.EphemeralContainerCommon{
		Name: "debugger", Image: image, Command: []string{"sh"}, SecurityContext: &corev1.SecurityContext{Privileged: &yes},
	}})
	return now
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
