package capabilities

import (
	"slices"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// likely are the capabilities that the runtime gives by itself, those first that
// servers running as root are most often seen to need: to read files of others,
// then to become somebody else.
var likely = [][]corev1.Capability{
	{"DAC_OVERRIDE"},
	{"CHOWN", "SETGID", "SETUID"},
	{"AUDIT_WRITE", "FOWNER", "FSETID", "KILL", "MKNOD", bind, "NET_RAW", "SETFCAP", "SETPCAP", "SYS_CHROOT"},
}

// candidates gives what a workload may need: with the last group it has all that
// it had before the step. To a user other than root none of it gives anything.
func candidates(a *app.App, workload string) [][]string {
	w := a.Workload(workload)
	if w == nil || windows(w) {
		return nil
	}
	root := false
	var own []corev1.Capability
	for c := range w.Containers() {
		if mayBeRoot(c) {
			root = true
			own = append(own, capabilities(c).Add...)
		}
	}
	if !root {
		return nil
	}
	var groups [][]string
	var known []corev1.Capability
	for _, g := range likely {
		known = append(known, g...)
		groups = append(groups, names(g))
	}
	slices.Sort(own)
	own = slices.DeleteFunc(slices.Compact(own), func(n corev1.Capability) bool { return n == all || slices.Contains(known, n) })
	if len(own) > 0 {
		groups = append(groups, names(own))
	}
	return groups
}

// grant notes what the containers of a workload that run as root get.
func grant(a *app.App, workload string, granted []string) {
	w := a.Workload(workload)
	if w == nil {
		return
	}
	granted = slices.Sorted(slices.Values(granted))
	for c := range w.Containers() {
		if mayBeRoot(c) {
			a.Seen.Inside(w.ID(), c.Spec.Name).Capabilities = granted
		}
	}
}

func names(list []corev1.Capability) []string {
	var out []string
	for _, n := range list {
		out = append(out, string(n))
	}
	return out
}
