package pod

import (
	"path/filepath"
	"slices"
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
		"added":      {Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_MODULE", "SYS_TIME", "SYS_BOOT", "SYS_RAWIO", "LINUX_IMMUTABLE"}}},
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
				for _, c := range []int{unix.CAP_SYS_MODULE, unix.CAP_SYS_BOOT, unix.CAP_SYS_TIME, unix.CAP_SYS_RAWIO, unix.CAP_LINUX_IMMUTABLE} {
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

// No pod that has the host's users writes what of /proc is the host's own. Files are
// opened for writing and closed again: nothing is ever written.
func TestSandboxHostSettingsStayOut(t *testing.T) {
	need(t)
	settings := []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"}
	for _, pattern := range []string{"/proc/irq/default_smp_affinity", "/proc/irq/*/smp_affinity", "/proc/bus/pci/*/*", "/proc/acpi/*", "/proc/scsi/scsi", "/proc/fs/*/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		settings = append(settings, found[:min(len(found), 1)]...)
	}
	for name, sc := range map[string]*corev1.SecurityContext{
		"default":    {},
		"privileged": {Privileged: ptr(true)},
		"all":        {Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"ALL"}}},
	} {
		t.Run(name, func(t *testing.T) {
			spec := one(":sleep", "1m")
			spec.Containers[0].SecurityContext = sc
			p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
			ready(t, p)
			for _, s := range settings {
				if got := run(t, p, ":open", s); strings.HasPrefix(got, "opened") {
					t.Error(got)
				}
			}
			if got := run(t, p, ":open", "/dev/shm/x"); !strings.HasPrefix(got, "opened") {
				t.Errorf("opening tells nothing: %s", got)
			}
		})
	}
}

// procMount Unmasked is for pods with users of their own, to whom the host's
// settings are closed by their owner. The API server refuses it elsewhere.
func TestSandboxUnmasked(t *testing.T) {
	need(t)
	unmasked := func() Options {
		spec := one(":sleep", "1m")
		spec.Containers[0].SecurityContext = &corev1.SecurityContext{ProcMount: ptr(corev1.UnmaskedProcMount)}
		return newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec)
	}
	if p, err := Start(t.Context(), unmasked()); err == nil {
		p.Stop(0)
		t.Error("started with the host's users")
	} else if want := "container web: securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`"; !strings.Contains(err.Error(), want) {
		t.Errorf("refused with %v", err)
	}
	for name, users := range map[string]bool{"of its own": true, "of the host, for want of others": false} {
		t.Run(name, func(t *testing.T) {
			o := unmasked()
			if o.Spec.HostUsers = ptr(false); users {
				o = withUsers(t, o)
			}
			p := launch(t, o)
			ready(t, p)
			masked := strings.Contains(run(t, p, ":mounts"), " /proc/sys ")
			if noted := slices.ContainsFunc(p.Notes(), func(n string) bool { return strings.Contains(n, "procMount") }); masked == users || noted == users {
				t.Errorf("masked: %t, noted: %t", masked, noted)
			}
			for _, s := range []string{"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger"} {
				if got := run(t, p, ":open", s); strings.HasPrefix(got, "opened") {
					t.Error(got)
				}
			}
		})
	}
}
