package judge

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	listers "k8s.io/client-go/listers/core/v1"
)

// namespace gives a namespace of the cluster. One that nobody described has been
// made by hand: without labels but for that of its name, which the API server
// puts on each.
func (c *cluster) namespace(name string) *corev1.Namespace {
	ns := &corev1.Namespace{}
	if known := c.namespaces[name]; known != nil {
		ns = known.DeepCopy()
	}
	ns.Name = name
	if ns.Labels == nil {
		ns.Labels = map[string]string{}
	}
	ns.Labels[corev1.LabelMetadataName] = name
	return ns
}

// namespaceGetter is the cluster as Pod Security asks for it.
type namespaceGetter struct{ *cluster }

// GetNamespace gives a namespace.
func (c namespaceGetter) GetNamespace(_ context.Context, name string) (*corev1.Namespace, error) {
	return c.namespace(name), nil
}

// noPods is the list of the pods that run already; only a change of a namespace
// asks for it.
type noPods struct{}

// ListPods gives none.
func (noPods) ListPods(context.Context, string) ([]*corev1.Pod, error) { return nil, nil }

// namespaceLister is the cluster as the policies ask for it.
type namespaceLister struct {
	*cluster
	listers.NamespaceListerExpansion
}

// List gives the namespaces that were described.
func (c namespaceLister) List(s labels.Selector) ([]*corev1.Namespace, error) {
	var out []*corev1.Namespace
	for name := range c.namespaces {
		if ns := c.namespace(name); s.Matches(labels.Set(ns.Labels)) {
			out = append(out, ns)
		}
	}
	return out, nil
}

// Get gives a namespace.
func (c namespaceLister) Get(name string) (*corev1.Namespace, error) { return c.namespace(name), nil }
