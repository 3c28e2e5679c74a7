// Package usernamespace is the step that gives every pod users of its own: root
// inside is nobody outside.
//
// Pod Security does not ask for it; it only lets pods that have it off the rules
// about root.
package usernamespace

import (
	_ "embed"
	"fmt"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// Step gives every pod a user namespace.
var Step = &step.Step{
	Name:    "user-namespace",
	Title:   "Give every pod users of its own",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1611"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
	Unborne: unborne,
}

// unborne knows since when clusters and runtimes give pods users of their own
// without being told to. OpenShift's users do not fit in.
func unborne(a *app.App, _ *app.Workload) string {
	switch t := a.Config.Target; {
	case t.OpenShift:
		return "OpenShift's restricted-v2 gives users such as 1000650000, and such a pod has only those below 65536 (restricted-v3 is made for it)"
	case t.Older(33):
		return "Kubernetes " + t.Kubernetes() + " takes hostUsers: false only with a feature gate (1.33 does without)"
	case t.Before("containerd", 2, 0):
		return t.RuntimeVersion() + " has no user namespaces for pods (2.0 has)"
	case t.Before("cri-o", 1, 25):
		return t.RuntimeVersion() + " has no user namespaces for pods (1.25 has)"
	}
	return ""
}

// check finds the pods whose users are the node's.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for w := range missing(a) {
		hint := "set hostUsers: false"
		if why := contradiction(w); why != "" {
			hint = why
		}
		f = append(f, step.Finding{Pos: w.Pos(w.PodPath.Join("hostUsers")), Workload: w.ID(), Message: "the pod's users are the node's", Hint: hint})
	}
	step.Sort(f)
	return f
}

// fix writes the line, except where such a pod would not start.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	for w := range missing(a) {
		if contradiction(w) != "" {
			continue
		}
		edits = append(edits, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: w.PodPath.Join("hostUsers"), Value: false,
			Before: firstOf(w), Comment: "Root in the pod is nobody on the node"}})
	}
	return edits, nil
}

// missing visits the workloads whose pods have the node's users.
func missing(a *app.App) func(yield func(*app.Workload) bool) {
	return func(yield func(*app.Workload) bool) {
		for _, w := range a.Workloads {
			if w.Pod.OS != nil && w.Pod.OS.Name == corev1.Windows {
				continue // the API refuses the field there
			}
			if w.Pod.HostUsers != nil && !*w.Pod.HostUsers {
				continue
			}
			if !yield(w) {
				return
			}
		}
	}
}

// ids is how many users and groups a pod gets, by the kubelet's default.
const ids = 65536

// contradiction says what has to go before w's pod can have users of its own, ""
// where nothing does.
func contradiction(w *app.Workload) string {
	for _, f := range []struct {
		field string
		set   bool
	}{{"hostNetwork", w.Pod.HostNetwork}, {"hostPID", w.Pod.HostPID}, {"hostIPC", w.Pod.HostIPC}} {
		if f.set {
			return "first take " + f.field + ": true away: the API refuses both together"
		}
	}
	for _, v := range w.Pod.Volumes {
		if v.NFS != nil {
			return fmt.Sprintf("first move volume %q off NFS, which cannot map owners", v.Name)
		}
	}
	if sc := w.Pod.SecurityContext; sc != nil {
		for _, id := range append([]int64{deref(sc.RunAsUser), deref(sc.RunAsGroup), deref(sc.FSGroup)}, sc.SupplementalGroups...) {
			if id >= ids {
				return tooHigh(id)
			}
		}
	}
	for c := range w.Containers() {
		if len(c.Spec.VolumeDevices) > 0 {
			return fmt.Sprintf("first take the volumeDevices of container %q away: the API refuses both together", c.Spec.Name)
		}
		if sc := c.Spec.SecurityContext; sc != nil {
			for _, id := range []int64{deref(sc.RunAsUser), deref(sc.RunAsGroup)} {
				if id >= ids {
					return tooHigh(id)
				}
			}
		}
	}
	return ""
}

func tooHigh(id int64) string {
	return fmt.Sprintf("first choose another id than %d: such a pod has only those below %d", id, ids)
}

func deref(id *int64) int64 {
	if id == nil {
		return 0
	}
	return *id
}

// firstOf names the key of the pod's spec in front of which the line goes: its
// security context or its first list of containers, whichever stands first.
func firstOf(w *app.Workload) string {
	first, line := "", 0
	for _, key := range []string{"securityContext", string(app.Init), string(app.Normal)} {
		p := w.PodPath.Join(key)
		if l := w.Pos(p).Line; w.Has(p) && (first == "" || l < line) {
			first, line = key, l
		}
	}
	return first
}

// weaken gives every pod the node's users back, in memory. An unmasked /proc goes
// with those of its own.
func weaken(a *app.App) {
	for _, w := range a.Workloads {
		w.Pod.HostUsers = nil
		for c := range w.Containers() {
			if sc := c.Spec.SecurityContext; sc != nil {
				sc.ProcMount = nil
			}
		}
	}
}
