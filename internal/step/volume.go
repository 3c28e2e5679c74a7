package step

import (
	"slices"

	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// roadsVolume is what evidence says where the pod has no volume to write to.
const roadsVolume = "the volume is road's: the pod mounts none of its own that it may write to"

// SayWhose says in the evidence of an attack on Scene.Volume whether that volume
// stands for one which the application does not have.
func SayWhose(s *sandbox.Scene, o Outcome) Outcome {
	if c := Container(s); c != nil && o.Evidence != "" && !slices.ContainsFunc(c.Spec.VolumeMounts, func(m corev1.VolumeMount) bool {
		return !m.ReadOnly && writable(c.Workload.Pod.Volumes, m.Name)
	}) {
		o.Evidence += "\n" + roadsVolume
	}
	return o
}

// writable says whether a volume can be written to; one that the pod does not list
// comes from a claim template.
func writable(volumes []corev1.Volume, name string) bool {
	for _, v := range volumes {
		if v.Name == name {
			return v.EmptyDir != nil || v.PersistentVolumeClaim != nil || v.Ephemeral != nil || v.HostPath != nil || v.NFS != nil || v.CSI != nil
		}
	}
	return true
}
