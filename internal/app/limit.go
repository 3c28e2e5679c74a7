package app

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// PodLimit gives what a whole pod may use of a resource, as Kubernetes reckons it
// (k8s.io/component-helpers/resource, PodLimits): its containers and sidecars
// together, or an init container with the sidecars before it where that is more, and
// the overhead of its runtime. nil where no container has a limit; those without one
// add nothing.
func PodLimit(spec *corev1.PodSpec, r corev1.ResourceName) *resource.Quantity {
	var sum, sidecars, first *resource.Quantity
	for i := range spec.Containers {
		sum = plus(sum, limitOf(&spec.Containers[i], r))
	}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		limit := limitOf(c, r)
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			sum, sidecars = plus(sum, limit), plus(sidecars, limit)
			continue
		}
		if with := plus(sidecars, limit); with != nil && (first == nil || with.Cmp(*first) > 0) {
			first = with
		}
	}
	if first != nil && (sum == nil || first.Cmp(*sum) > 0) {
		sum = first
	}
	if over, has := spec.Overhead[r]; has && sum != nil && !sum.IsZero() {
		sum = plus(sum, &over)
	}
	return sum
}

func limitOf(c *corev1.Container, r corev1.ResourceName) *resource.Quantity {
	if q, has := c.Resources.Limits[r]; has {
		return &q
	}
	return nil
}

// plus adds two quantities, of which one may not be there.
func plus(a, b *resource.Quantity) *resource.Quantity {
	if a == nil {
		a, b = b, nil
	}
	if a == nil {
		return nil
	}
	sum := a.DeepCopy()
	if b != nil {
		sum.Add(*b)
	}
	return &sum
}
