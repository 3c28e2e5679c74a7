package app

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Selects says whether a selector that is a plain map, as those of Services are,
// takes a pod with these labels. One without a word takes none: who makes the
// endpoints of such a Service is somebody else.
func Selects(selector, labels map[string]string) bool {
	for key, value := range selector {
		if got, there := labels[key]; !there || got != value {
			return false
		}
	}
	return len(selector) > 0
}

// Matches says whether a selector matches the workload's pods; a broken one, which
// the API server refuses, matches none.
func (w *Workload) Matches(s *metav1.LabelSelector) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && w.Meta != nil && sel.Matches(labels.Set(w.Meta.Labels))
}

// Unselected gives the Services whose selector matches no pod of PATH, in file
// order: nobody answers there, and nothing that is inferred of the application is
// about them. A mistyped label looks like that. A Service is not given where
// something may make its pods that road does not know: a custom resource in its
// namespace, or a stand-in of its name.
func (a *App) Unselected() []*Object {
	var out []*Object
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Service)
		if !ok || len(s.Spec.Selector) == 0 || s.Spec.Type == corev1.ServiceTypeExternalName || a.Config.Services[o.Name] != nil {
			continue
		}
		if !a.selected(o, s) && !a.hasCustom(o.Home()) {
			out = append(out, o)
		}
	}
	return out
}

// NoPod says it of one of them.
func NoPod(service *Object) string {
	return fmt.Sprintf("Service %s selects no pod here, so nobody answers there and no check asks it", service.Name)
}

func (a *App) selected(o *Object, s *corev1.Service) bool {
	for _, w := range a.Workloads {
		if w.Home() == o.Home() && w.Meta != nil && Selects(s.Spec.Selector, w.Meta.Labels) {
			return true
		}
	}
	return false
}

// hasCustom says whether a namespace has an object of a kind that Kubernetes does
// not have itself: whoever reads it may make pods.
func (a *App) hasCustom(namespace string) bool {
	for _, o := range a.Objects {
		group, _, versioned := strings.Cut(o.APIVersion, "/")
		if o.Typed == nil && o.Home() == namespace && versioned && strings.Contains(group, ".") && !strings.HasSuffix(group, ".k8s.io") {
			return true
		}
	}
	return false
}
