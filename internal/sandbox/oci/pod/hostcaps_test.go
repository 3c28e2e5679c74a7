package pod

import (
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// No pod gets what would change the user's own machine, and it is told so.
func TestSandboxHostCapabilitiesStayOut(t *testing.T) {
	need(t)
	for name, sc := range map[string]*corev1.SecurityContext{
		"privileged": {Privileged: ptr(true)},
		"all":        {Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"ALL"}}},
		"added":      {Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_MODULE", "SYS_TIME", "SYS_BOOT", "SYS_RAWIO"}}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := one(":sleep", "1m")
			spec.Containers[0].SecurityContext = sc
			p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
			ready(t, p)
			sets := permissions(run(t, p, ":cat", "/proc/self/status"))
			for _, set := range []string{"CapBnd", "CapEff", "CapPrm"} {
				have, err := strconv.ParseUint(sets[set], 16, 64)
				if err != nil || have == 0 {
					t.Fatalf("%s is %q", set, sets[set])
				}
				for _, c := range []int{unix.CAP_SYS_MODULE, unix.CAP_SYS_BOOT, unix.CAP_SYS_TIME, unix.CAP_SYS_RAWIO} {
					if have&(1<<c) != 0 {
						t.Errorf("%s has capability %d", set, c)
					}
				}
			}
			if notes := strings.Join(p.Notes(), "\n"); !strings.Contains(notes, "CAP_SYS_MODULE") {
				t.Errorf("notes: %s", notes)
			}
		})
	}
}
