package pod

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// quantities makes a list of "cpu", "500m", "memory", "1Gi".
func quantities(kv ...string) corev1.ResourceList {
	l := corev1.ResourceList{}
	for i := 0; i < len(kv); i += 2 {
		l[corev1.ResourceName(kv[i])] = resource.MustParse(kv[i+1])
	}
	return l
}

func TestResources(t *testing.T) {
	for _, c := range []struct {
		name             string
		requests, limits corev1.ResourceList
		shares           uint64
		quota, memory    int64
	}{
		{"none", nil, nil, 2, 0, 0},
		{"request", quantities("cpu", "250m", "memory", "64Mi"), nil, 256, 0, 0},
		{"limit stands for the request", nil, quantities("cpu", "2", "memory", "64Mi"), 2048, 200000, 64 << 20},
		{"both", quantities("cpu", "100m"), quantities("cpu", "200m"), 102, 20000, 0},
		{"tiny limit", nil, quantities("cpu", "1m"), 2, 1000, 0},
		{"zero request", quantities("cpu", "0"), quantities("cpu", "1"), 2, 100000, 0},
		{"huge", quantities("cpu", "1000"), nil, 262144, 0, 0},
	} {
		r := resources(&corev1.Container{Resources: corev1.ResourceRequirements{Requests: c.requests, Limits: c.limits}})
		if *r.CPU.Shares != c.shares {
			t.Errorf("%s: shares %d, want %d", c.name, *r.CPU.Shares, c.shares)
		}
		if (r.CPU.Quota != nil) != (c.quota > 0) || c.quota > 0 && (*r.CPU.Quota != c.quota || *r.CPU.Period != 100000) {
			t.Errorf("%s: quota %v, want %d", c.name, r.CPU.Quota, c.quota)
		}
		if (r.Memory != nil) != (c.memory > 0) || c.memory > 0 && (*r.Memory.Limit != c.memory || *r.Memory.Swap != c.memory) {
			t.Errorf("%s: memory %v, want %d and no swap", c.name, r.Memory, c.memory)
		}
		if r.Pids != nil {
			t.Errorf("%s: no field of a pod limits processes", c.name)
		}
	}
}

func TestOOMScore(t *testing.T) {
	const gib = 1 << 30
	ctr := func(requests, limits corev1.ResourceList) corev1.Container {
		return corev1.Container{Resources: corev1.ResourceRequirements{Requests: requests, Limits: limits}}
	}
	full := quantities("cpu", "1", "memory", "1Gi")
	for _, c := range []struct {
		name  string
		cs    []corev1.Container
		class corev1.PodQOSClass
		want  int
	}{
		{"nothing asked", []corev1.Container{ctr(nil, nil)}, corev1.PodQOSBestEffort, 1000},
		{"limits alone", []corev1.Container{ctr(nil, full)}, corev1.PodQOSGuaranteed, -997},
		{"limits and equal requests", []corev1.Container{ctr(full, full)}, corev1.PodQOSGuaranteed, -997},
		{"one of two", []corev1.Container{ctr(nil, full), ctr(nil, nil)}, corev1.PodQOSBurstable, 1000 - 1000/4},
		{"cpu alone", []corev1.Container{ctr(nil, quantities("cpu", "1"))}, corev1.PodQOSBurstable, 999},
		{"all the memory", []corev1.Container{ctr(quantities("memory", "4Gi"), nil)}, corev1.PodQOSBurstable, 3},
		{"a quarter", []corev1.Container{ctr(quantities("memory", "1Gi"), nil)}, corev1.PodQOSBurstable, 750},
	} {
		s := &corev1.PodSpec{Containers: c.cs}
		if got := qosClass(s); got != c.class {
			t.Errorf("%s: class %s, want %s", c.name, got, c.class)
		}
		if got := oomScore(s, &s.Containers[0], 4*gib); got != c.want {
			t.Errorf("%s: score %d, want %d", c.name, got, c.want)
		}
	}
}

func TestPodResources(t *testing.T) {
	limits := corev1.ResourceRequirements{Limits: quantities("cpu", "500m", "memory", "64Mi")}
	s := &corev1.PodSpec{Containers: []corev1.Container{{Resources: limits}, {Resources: limits}}}
	r := podResources(s)
	if *r.CPU.Quota != 100000 || *r.Memory.Limit != 128<<20 || *r.CPU.Shares != 1024 {
		t.Errorf("sum: %+v %+v", r.CPU, r.Memory)
	}
	s.Containers = append(s.Containers, corev1.Container{})
	if r := podResources(s); r.CPU.Quota != nil || r.Memory != nil {
		t.Errorf("one without limits: %+v %+v", r.CPU, r.Memory)
	}
}
