package pod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
)

// A manifest is not trusted: no name in it may lead to a file of the host.
func TestSandboxNamesStayBelow(t *testing.T) {
	need(t)
	victim := diskDir(t)
	if err := os.Chmod(victim, 0o700); err != nil {
		t.Fatal(err)
	}
	up := strings.Repeat("../", 20) + victim[1:]
	volume := func(name string, s corev1.VolumeSource) *corev1.PodSpec {
		spec := one(":sleep", "1m")
		spec.Volumes = []corev1.Volume{{Name: name, VolumeSource: s}}
		return spec
	}
	sysctl := func(name string) *corev1.PodSpec {
		spec := one(":sleep", "1m")
		spec.SecurityContext = &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: name, Value: "1"}}}
		return spec
	}
	container := one(":sleep", "1m")
	container.Containers[0].Name = up + "/log"
	twice := one(":sleep", "1m")
	twice.Containers = append(twice.Containers, twice.Containers[0])
	for name, spec := range map[string]*corev1.PodSpec{
		"volume":     volume(up, corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
		"claim":      volume("v", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: up}}),
		"config map": volume("v", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "c"}}}),
		"secret":     volume("v", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "c"}}),
		"container":  container,
		"same names": twice,
		// "/" stands for "." in a sysctl's name: this is net/ipv4/../../kernel/core_pattern.
		"sysctl":       sysctl("net.ipv4.//.//.kernel.core_pattern"),
		"sysctl slash": sysctl("net/ipv4/../../kernel/core_pattern"),
	} {
		t.Run(name, func(t *testing.T) {
			o := newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec)
			data := func(string) (map[string][]byte, bool) {
				return map[string][]byte{up + "/file": []byte("x")}, true
			}
			o.Sources = Sources{Secret: data, ConfigMap: data, Claim: func(name string) (string, error) {
				return filepath.Join(o.Disk, name), nil
			}}
			before, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
			p, err := Start(t.Context(), o)
			if err == nil {
				p.Stop(0)
				t.Error("the pod was started")
			}
			if left, _ := os.ReadDir(victim); len(left) > 0 {
				t.Errorf("written: %v", left)
			}
			if st, err := os.Stat(victim); err != nil || st.Mode().Perm() != 0o700 {
				t.Errorf("touched: %v %v", st.Mode(), err)
			}
			if after, _ := os.ReadFile("/proc/sys/kernel/core_pattern"); string(after) != string(before) {
				t.Fatalf("core_pattern is %q now", after)
			}
		})
	}
}
