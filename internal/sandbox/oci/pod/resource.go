package pod

import (
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The kubelet's figures (pkg/kubelet/cm, pkg/kubelet/qos).
const (
	cpuPeriod  = 100000 // microseconds
	minQuota   = 1000   // microseconds
	minShares  = 2
	maxShares  = 262144
	guaranteed = -997 // oom_score_adj of the QoS classes
	bestEffort = 1000
)

// resources gives a container's cgroup limits. Swap equals the memory limit, so
// a container with a limit has no swap. Processes are not limited by any field.
func resources(c *corev1.Container) *specs.LinuxResources {
	r := &specs.LinuxResources{}
	request, asked := amount(c, corev1.ResourceCPU, true)
	limit, limited := amount(c, corev1.ResourceCPU, false)
	if !asked && limited {
		request = limit
	}
	shares := cpuShares(request.MilliValue())
	r.CPU = &specs.LinuxCPU{Shares: &shares}
	if q := cpuQuota(limit.MilliValue()); q > 0 {
		period := uint64(cpuPeriod)
		r.CPU.Quota, r.CPU.Period = &q, &period
	}
	if m, ok := amount(c, corev1.ResourceMemory, false); ok && m.Value() > 0 {
		n := m.Value()
		r.Memory = &specs.LinuxMemory{Limit: &n, Swap: &n}
	}
	return r
}

func amount(c *corev1.Container, name corev1.ResourceName, request bool) (resource.Quantity, bool) {
	list := c.Resources.Limits
	if request {
		list = c.Resources.Requests
	}
	q, ok := list[name]
	return q, ok
}

func cpuShares(milli int64) uint64 {
	return uint64(min(max(milli*1024/1000, minShares), maxShares))
}

// cpuQuota gives microseconds for each period, 0 for no limit.
func cpuQuota(milli int64) int64 {
	if milli == 0 {
		return 0
	}
	return max(milli*cpuPeriod/1000, minQuota)
}

// podResources gives the limits of the pod's own cgroup: the sum of its
// containers', where each of them has one.
func podResources(s *corev1.PodSpec) *specs.LinuxResources {
	var shares, quota, memory int64
	cpuLimited, memoryLimited := true, true
	for i := range s.Containers {
		c := &s.Containers[i]
		r, asked := amount(c, corev1.ResourceCPU, true)
		l, limited := amount(c, corev1.ResourceCPU, false)
		if !asked && limited {
			r = l
		}
		shares += r.MilliValue()
		quota += l.MilliValue()
		cpuLimited = cpuLimited && l.MilliValue() > 0
		m, _ := amount(c, corev1.ResourceMemory, false)
		memory += m.Value()
		memoryLimited = memoryLimited && m.Value() > 0
	}
	n := cpuShares(shares)
	r := &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: &n}}
	// An init container may ask for more than all others together; then the sum
	// would hold it back, so the pod's own limit is left out.
	if len(s.InitContainers) > 0 {
		return r
	}
	if cpuLimited {
		q, period := cpuQuota(quota), uint64(cpuPeriod)
		r.CPU.Quota, r.CPU.Period = &q, &period
	}
	if memoryLimited {
		r.Memory = &specs.LinuxMemory{Limit: &memory, Swap: &memory}
	}
	return r
}

// qosClass is the pod's class by the requests and limits of cpu and memory of
// all its containers.
func qosClass(s *corev1.PodSpec) corev1.PodQOSClass {
	any, equal := false, true
	for _, c := range append(append([]corev1.Container(nil), s.InitContainers...), s.Containers...) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			l := c.Resources.Limits[name]
			r, asked := c.Resources.Requests[name]
			if !asked {
				r = l // the API server fills in a missing request
			}
			any = any || !l.IsZero() || !r.IsZero()
			equal = equal && !l.IsZero() && l.Cmp(r) == 0
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case equal:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

// oomScore gives a container's oom_score_adj on a node with capacity bytes.
func oomScore(s *corev1.PodSpec, c *corev1.Container, capacity int64) int {
	switch qosClass(s) {
	case corev1.PodQOSGuaranteed:
		return guaranteed
	case corev1.PodQOSBestEffort:
		return bestEffort
	}
	request, asked := amount(c, corev1.ResourceMemory, true)
	if !asked {
		request, _ = amount(c, corev1.ResourceMemory, false)
	}
	score := int(1000 - 1000*request.Value()/max(capacity, 1))
	switch {
	case score < 1000+guaranteed:
		return 1000 + guaranteed
	case score == bestEffort:
		return bestEffort - 1
	}
	return score
}
