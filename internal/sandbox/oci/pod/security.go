package pod

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/pkg/cap"
	corev1 "k8s.io/api/core/v1"
)

// What the kubelet hides of /proc and /sys from a container that is not
// privileged, and what it makes read-only (pkg/securitycontext).
var (
	maskedPaths = []string{
		"/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys",
		"/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
		"/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
	}
	readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
)

// defaultCapabilities are those of containerd, for the bounding, permitted and
// effective sets. The inheritable and ambient sets stay empty, which is why an
// added capability does nothing for a user other than root.
var defaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE",
	"CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

// effective overlays the pod's security context with the container's fields that
// are set. Fields are replaced as a whole: capabilities are not merged. Seccomp
// is not among them, see seccompProfile.
func effective(pod *corev1.PodSecurityContext, c *corev1.Container) *corev1.SecurityContext {
	e := &corev1.SecurityContext{}
	if c.SecurityContext != nil {
		e = c.SecurityContext.DeepCopy()
	}
	if pod == nil {
		return e
	}
	if e.RunAsUser == nil {
		e.RunAsUser = pod.RunAsUser
	}
	if e.RunAsGroup == nil {
		e.RunAsGroup = pod.RunAsGroup
	}
	if e.RunAsNonRoot == nil {
		e.RunAsNonRoot = pod.RunAsNonRoot
	}
	if e.SELinuxOptions == nil {
		e.SELinuxOptions = pod.SELinuxOptions
	}
	return e
}

// imageUser is what the kubelet knows of an image's USER: a number, or a name,
// or root. The group of "1000:2000" is lost here, as it is there.
func imageUser(user string) (uid *int64, name string) {
	user, _, _ = strings.Cut(user, ":")
	if user == "" {
		return new(int64), ""
	}
	if n, err := strconv.ParseInt(user, 10, 64); err == nil {
		return &n, ""
	}
	return nil, user
}

// verifyNonRoot refuses a container as the kubelet does before it creates one
// whose runAsNonRoot cannot be kept.
func (p *Pod) verifyNonRoot(c *corev1.Container, imgUser string) error {
	sc := effective(p.spec.SecurityContext, c)
	if sc.RunAsNonRoot == nil || !*sc.RunAsNonRoot {
		return nil
	}
	where := fmt.Sprintf("(pod: %q, container: %s)", p.o.Name+"_"+p.o.Namespace+"("+p.uid+")", c.Name)
	if sc.RunAsUser != nil {
		if *sc.RunAsUser == 0 {
			return fmt.Errorf("container's runAsUser breaks non-root policy %s", where)
		}
		return nil
	}
	uid, name := imageUser(imgUser)
	switch {
	case uid != nil && *uid == 0:
		return fmt.Errorf("container has runAsNonRoot and image will run as root %s", where)
	case uid == nil:
		return fmt.Errorf("container has runAsNonRoot and image has non-numeric user (%s), cannot verify user is non-root %s", name, where)
	}
	return nil
}

// verifyEscalation refuses what the API server refuses.
func verifyEscalation(sc *corev1.SecurityContext) error {
	if sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation {
		return nil
	}
	if privileged(sc) {
		return errors.New("cannot set `allowPrivilegeEscalation` to false and `privileged` to true")
	}
	if sc.Capabilities != nil {
		for _, a := range sc.Capabilities.Add {
			if a == "CAP_SYS_ADMIN" || a == "SYS_ADMIN" {
				return errors.New("cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN")
			}
		}
	}
	return nil
}

func privileged(sc *corev1.SecurityContext) bool { return sc.Privileged != nil && *sc.Privileged }

func unmasked(sc *corev1.SecurityContext) bool {
	return sc.ProcMount != nil && *sc.ProcMount == corev1.UnmaskedProcMount
}

// noNewPrivileges is set only where allowPrivilegeEscalation says so.
func noNewPrivileges(sc *corev1.SecurityContext) bool {
	return sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation
}

// capabilities gives the bounding, permitted and effective set: ALL before
// single ones, adding before dropping. A name written with CAP_ in front names
// nothing, as in containerd.
func capabilities(sc *corev1.SecurityContext) ([]string, error) {
	all := func() ([]string, error) { return cap.Current() }
	if privileged(sc) {
		return all()
	}
	set := append([]string(nil), defaultCapabilities...)
	if sc.Capabilities == nil {
		return set, nil
	}
	if hasAll(sc.Capabilities.Add) {
		var err error
		if set, err = all(); err != nil {
			return nil, err
		}
	}
	if hasAll(sc.Capabilities.Drop) {
		set = nil
	}
	for _, c := range sc.Capabilities.Add {
		if n := capName(c); n != "CAP_ALL" && !contains(set, n) {
			set = append(set, n)
		}
	}
	for _, c := range sc.Capabilities.Drop {
		n := capName(c)
		for i := range set {
			if set[i] == n {
				set = append(set[:i], set[i+1:]...)
				break
			}
		}
	}
	return set, nil
}

// hostCapabilities act on the host's kernel as a whole, whatever namespaces and
// control groups there are around who has them: to load a module, to start another
// kernel, to set the clock, to reach ports and memory, to mount /proc anew and
// write its settings, to open files by handle, to trace the kernel, to make files
// that nobody can remove. The host is the user's own machine, so no container gets
// them.
var hostCapabilities = []string{
	"CAP_SYS_MODULE", "CAP_SYS_BOOT", "CAP_SYS_TIME", "CAP_SYS_RAWIO",
	"CAP_SYS_ADMIN", "CAP_DAC_READ_SEARCH", "CAP_BPF", "CAP_PERFMON", "CAP_SYSLOG",
	"CAP_LINUX_IMMUTABLE",
}

// keepHostOut takes the host's capabilities out of a set, and says which were there.
func keepHostOut(caps []string) (kept, out []string) {
	for _, c := range caps {
		if contains(hostCapabilities, c) {
			out = append(out, c)
		} else {
			kept = append(kept, c)
		}
	}
	return kept, out
}

func capName(c corev1.Capability) string { return "CAP_" + strings.ToUpper(string(c)) }

func hasAll(cs []corev1.Capability) bool {
	for _, c := range cs {
		if strings.EqualFold(string(c), "ALL") {
			return true
		}
	}
	return false
}

func contains(ss []string, s string) bool {
	for _, x := range ss {
		if x == s {
			return true
		}
	}
	return false
}
