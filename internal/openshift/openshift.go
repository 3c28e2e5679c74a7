// Package openshift knows what OpenShift's security context constraints make of a
// pod: those called restricted-v2, under which every pod of an ordinary user runs.
//
// Source: Red Hat's documentation of OpenShift Container Platform 4, "Authentication
// and authorization", chapter "Managing security context constraints", with the
// object restricted-v2 as a cluster has it (oc get scc restricted-v2 -o yaml).
package openshift

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// The range of users that a namespace gets at its creation, in the annotation
// openshift.io/sa.scc.uid-range: "1000650000/10000". Every namespace has another;
// pods get its first user, and as fsGroup the first of the same range.
const (
	FirstUser = 1000650000
	users     = 10000
)

// Assign gives the pod the users that OpenShift gives it, where it is to be sure
// that it does not run as root and leaves open as whom it does: any other pod would
// need constraints that somebody grants it, under which it keeps its own. The
// group is left to the image, where no account has such a number: so it is 0.
func Assign(spec *corev1.PodSpec) {
	pod := spec.SecurityContext
	if pod == nil {
		pod = &corev1.PodSecurityContext{}
	}
	if pod.RunAsUser != nil {
		return
	}
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			own := list[i].SecurityContext
			if own != nil && own.RunAsUser != nil || !nonRoot(pod, own) {
				return
			}
		}
	}
	user := int64(FirstUser)
	pod.RunAsUser = &user
	if pod.FSGroup == nil {
		pod.FSGroup = &user
	}
	spec.SecurityContext = pod
}

// nonRoot says whether a container must not run as root.
func nonRoot(pod *corev1.PodSecurityContext, own *corev1.SecurityContext) bool {
	if own != nil && own.RunAsNonRoot != nil {
		return *own.RunAsNonRoot
	}
	return pod.RunAsNonRoot != nil && *pod.RunAsNonRoot
}

// Refuses says which of the pod's fields restricted-v2 does not admit, in the order
// of its rules; none where it admits the pod.
func Refuses(spec *corev1.PodSpec) []string {
	var out []string
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			out = append(out, fmt.Sprintf(format, args...))
		}
	}
	// allowHostNetwork, allowHostPID and allowHostIPC are false.
	refuse(spec.HostNetwork, "hostNetwork: true")
	refuse(spec.HostPID, "hostPID: true")
	refuse(spec.HostIPC, "hostIPC: true")
	for _, v := range spec.Volumes {
		refuse(!admits(v.VolumeSource), "volume %s is of a kind that is not in the list", v.Name)
	}
	if sc := spec.SecurityContext; sc != nil {
		refuse(outside(sc.RunAsUser), "runAsUser: %d is not in the namespace's range", value(sc.RunAsUser))
		refuse(outside(sc.FSGroup), "fsGroup: %d is not in the namespace's range", value(sc.FSGroup))
		refuse(sc.SeccompProfile != nil && sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "seccompProfile other than RuntimeDefault")
	}
	for _, c := range append(slices.Clone(spec.InitContainers), spec.Containers...) {
		for _, p := range c.Ports {
			refuse(p.HostPort != 0, "%s: hostPort: %d", c.Name, p.HostPort) // allowHostPorts is false
		}
		sc := c.SecurityContext
		if sc == nil {
			continue
		}
		refuse(sc.Privileged != nil && *sc.Privileged, "%s: privileged: true", c.Name)
		refuse(sc.AllowPrivilegeEscalation != nil && *sc.AllowPrivilegeEscalation, "%s: allowPrivilegeEscalation: true", c.Name)
		refuse(outside(sc.RunAsUser), "%s: runAsUser: %d is not in the namespace's range", c.Name, value(sc.RunAsUser))
		refuse(sc.SeccompProfile != nil && sc.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault, "%s: seccompProfile other than RuntimeDefault", c.Name)
		refuse(sc.ProcMount != nil && *sc.ProcMount != corev1.DefaultProcMount, "%s: procMount: %s", c.Name, value(sc.ProcMount))
		if sc.Capabilities == nil {
			continue
		}
		for _, add := range sc.Capabilities.Add { // requiredDropCapabilities is [ALL], allowedCapabilities [NET_BIND_SERVICE]
			refuse(add != "NET_BIND_SERVICE", "%s: capability %s is added", c.Name, add)
		}
	}
	return out
}

// admits says whether a volume's kind is in the list of restricted-v2.
func admits(v corev1.VolumeSource) bool {
	return v.ConfigMap != nil || v.CSI != nil || v.DownwardAPI != nil || v.EmptyDir != nil || v.Ephemeral != nil ||
		v.PersistentVolumeClaim != nil || v.Projected != nil || v.Secret != nil
}

// outside says whether an id is given that the namespace does not have.
func outside(id *int64) bool { return id != nil && (*id < FirstUser || *id >= FirstUser+users) }

func value[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}
