package pod

import (
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// noteUnsupported records what of the spec is left out in every pod here.
// Volumes and containers record their own when they are made.
func (p *Pod) noteUnsupported() {
	s := p.spec
	for what, set := range map[string]bool{
		"hostNetwork: the pod has a network of its own":                                      s.HostNetwork,
		"hostPID: the pod does not see the host's processes":                                 s.HostPID,
		"hostIPC: the pod has IPC of its own":                                                s.HostIPC,
		"hostUsers: the pod runs without a user namespace":                                   HasUserNS(s) && p.o.UserNS == nil,
		"runtimeClassName " + deref(s.RuntimeClassName) + ": the pod runs on " + p.o.Runtime: s.RuntimeClassName != nil,
		"ephemeralContainers are not started":                                                len(s.EphemeralContainers) > 0,
		"setHostnameAsFQDN: the host name is " + p.o.Hostname:                                s.SetHostnameAsFQDN != nil && *s.SetHostnameAsFQDN,
		"resourceClaims: no devices are allocated":                                           len(s.ResourceClaims) > 0,
		"activeDeadlineSeconds is not enforced":                                              s.ActiveDeadlineSeconds != nil,
		"resources of the pod as a whole are not enforced":                                   s.Resources != nil,
	} {
		if set {
			p.note("%s", what)
		}
	}
	if b, err := os.ReadFile("/sys/module/apparmor/parameters/enabled"); err == nil && strings.HasPrefix(string(b), "Y") {
		p.note("AppArmor: the runtime's default profile is not loaded")
	}
	if sc := s.SecurityContext; sc != nil {
		p.noteSecurity("", sc.AppArmorProfile, sc.SELinuxOptions)
	}
	for _, c := range append(append([]corev1.Container(nil), s.InitContainers...), s.Containers...) {
		if sc := c.SecurityContext; sc != nil {
			p.noteSecurity("container "+c.Name+": ", sc.AppArmorProfile, sc.SELinuxOptions)
			if privileged(sc) {
				p.notePrivileged(c.Name)
			}
			if unmasked(sc) && p.o.UserNS == nil {
				p.note("container %s: procMount: /proc is masked, because it has the host's own settings", c.Name)
			}
		}
		if c.TTY {
			p.note("container %s: tty: it gets a pipe", c.Name)
		}
		if len(c.VolumeDevices) > 0 {
			p.note("container %s: volumeDevices are left out", c.Name)
		}
	}
}

func (p *Pod) notePrivileged(container string) {
	hidden := ", and /sys and the cgroups are read-only"
	if p.o.UserNS == nil {
		hidden = ", /sys and the cgroups are read-only, and /proc is masked as in any container"
	}
	p.note("container %s: privileged, but the host's device nodes are left out%s, because they are the host's own", container, hidden)
}

func (p *Pod) noteSecurity(where string, a *corev1.AppArmorProfile, se *corev1.SELinuxOptions) {
	if a != nil && a.Type != corev1.AppArmorProfileTypeUnconfined {
		p.note("%sappArmorProfile is not applied", where)
	}
	if se != nil {
		p.note("%sseLinuxOptions are not applied", where)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
