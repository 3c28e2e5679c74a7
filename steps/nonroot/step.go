// Package nonroot is the step that takes root away: every container runs as a
// user other than 0, by number, so that the kubelet can verify it.
//
// Its rules are those of the checks runAsNonRoot and runAsUser of Pod Security
// "restricted", without the relaxation for pods in a user namespace: that
// protection is a step of its own, and this one holds without it. On top of
// them come the images, of which Pod Security knows nothing.
package nonroot

import (
	_ "embed"
	"fmt"
	"strings"

	"road/internal/app"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// name is the step's name, also the key of its choices in road.yaml.
const name = "non-root"

// Step runs every container as a user other than root.
var Step = &step.Step{
	Name:    name,
	Title:   "Run as a non-root user",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "Pod Security", ID: "restricted: runAsNonRoot"},
		{Framework: "Pod Security", ID: "restricted: runAsUser"},
		{Framework: "CIS Kubernetes 1.12", ID: "5.2.7"},
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1611"},
		{Framework: "ATT&CK v18", ID: "T1068"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
	Trial:   &step.Trial{Candidates: candidates, Grant: step.GrantWhole},
	Unborne: unborne,
}

// unborne knows since when a pod may have the sysctl that opens its low ports.
func unborne(a *app.App, w *app.Workload) string {
	if t := a.Config.Target; t.Older(22) && !w.Pod.HostNetwork && lowPort(a, w) {
		return "it listens below 1024, for which Kubernetes " + t.Kubernetes() + " lets no pod have " + portSysctl + " (1.22 does)"
	}
	return ""
}

// check finds the pods and the images that may run as root.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		f = append(f, checkPod(a, w)...)
	}
	f = append(f, checkImages(a)...)
	step.Sort(f)
	return f
}

// checkPod finds what the manifest of one workload lacks.
func checkPod(a *app.App, w *app.Workload) []step.Finding {
	var f []step.Finding
	add := func(pos app.Pos, container, message, hint string) {
		f = append(f, step.Finding{Pos: pos, Workload: w.ID(), Container: container, Message: message, Hint: hint, NeedsRun: !resolvable(a, w)})
	}
	sc := podContext(w)
	pod := func(key string) app.Pos { return w.Pos(w.PodPath.Join("securityContext", key)) }
	if isFalse(sc.RunAsNonRoot) {
		add(pod("runAsNonRoot"), "", "the pod says runAsNonRoot: false", "set it to true")
	}
	if isZero(sc.RunAsUser) {
		add(pod("runAsUser"), "", "the pod runs as root (runAsUser: 0)", "give it a user above 0")
	}
	var unset []string
	for c := range w.Containers() {
		own := containerContext(c)
		if isFalse(own.RunAsNonRoot) {
			add(c.Pos("securityContext", "runAsNonRoot"), c.Spec.Name, fmt.Sprintf("container %q says runAsNonRoot: false", c.Spec.Name), "take it out or set it to true")
		} else if own.RunAsNonRoot == nil && sc.RunAsNonRoot == nil {
			unset = append(unset, c.Spec.Name)
		}
		if isZero(own.RunAsUser) {
			add(c.Pos("securityContext", "runAsUser"), c.Spec.Name, fmt.Sprintf("container %q runs as root (runAsUser: 0)", c.Spec.Name), "give it a user above 0")
		}
		if why := refusedByKubelet(a, w, c); why != "" && !assigned(a) {
			add(c.Pos("image"), c.Spec.Name, fmt.Sprintf("container %q is not started: %s", c.Spec.Name, why), "set runAsUser to its number")
		}
	}
	if assigned(a) {
		f = append(f, checkFixed(w)...)
	}
	if len(unset) > 0 {
		container := ""
		if len(unset) == 1 {
			container = unset[0]
		}
		add(pod("runAsNonRoot"), container, nameAll(unset)+" may run as root", "set runAsNonRoot: true in the pod's securityContext")
	}
	return f
}

// refusedByKubelet says why the kubelet would not start c: with runAsNonRoot and
// without runAsUser it must read the user from the image, and must find a
// number above 0 there. Images built from PATH have findings of their own.
func refusedByKubelet(a *app.App, w *app.Workload, c *app.Container) string {
	sc, own := podContext(w), containerContext(c)
	nonRoot := isTrue(own.RunAsNonRoot) || own.RunAsNonRoot == nil && isTrue(sc.RunAsNonRoot)
	img := a.Image(c.Spec.Image)
	if !nonRoot || own.RunAsUser != nil || sc.RunAsUser != nil || img == nil || img.Build != nil {
		return ""
	}
	switch u := userOf(a, img); u.kind {
	case rootUser:
		return "with runAsNonRoot it needs a user, and its image runs as root"
	case namedUser, unclearUser:
		return fmt.Sprintf("with runAsNonRoot it needs a number, and its image says %q", u.text)
	}
	return ""
}

// checkImages finds the Dockerfiles whose image runs as root, or as a user that
// the kubelet cannot verify. Each stage is looked at once, however many
// workloads share it.
func checkImages(a *app.App) []step.Finding {
	var f []step.Finding
	for _, b := range builds(a) {
		u := userOf(a, b.image)
		pos := app.Pos{File: b.file(), Line: u.line}
		switch u.kind {
		case missingUser:
			f = append(f, step.Finding{Pos: pos, Message: fmt.Sprintf("image %q names no user, so it runs as root", b.image.Name), Hint: "add USER with a number above 0 after the last step that builds"})
		case rootUser:
			f = append(f, step.Finding{Pos: pos, Message: fmt.Sprintf("image %q runs as root", b.image.Name), Hint: "end the stage with USER and a number above 0"})
		case namedUser:
			f = append(f, step.Finding{Pos: pos, Message: fmt.Sprintf("image %q runs as %q, which the kubelet cannot verify", b.image.Name, u.text), Hint: fmt.Sprintf("write its number: USER %d", u.uid)})
		case unclearUser:
			_, chosen := b.chosenUser(a)
			f = append(f, step.Finding{Pos: pos, Message: fmt.Sprintf("image %q runs as %q, which the kubelet cannot verify", b.image.Name, u.text), Hint: "write its number", NeedsRun: !chosen})
		}
	}
	return f
}

// weaken gives every pod and every image back to root, in memory.
func weaken(a *app.App) {
	root := int64(0)
	for _, w := range a.Workloads {
		if w.Pod.SecurityContext == nil {
			w.Pod.SecurityContext = &corev1.PodSecurityContext{}
		}
		sc := w.Pod.SecurityContext
		sc.RunAsUser, sc.RunAsGroup, sc.RunAsNonRoot, sc.FSGroup = &root, nil, nil, nil
		for c := range w.Containers() {
			if own := c.Spec.SecurityContext; own != nil {
				own.RunAsUser, own.RunAsGroup, own.RunAsNonRoot = nil, nil, nil
			}
		}
	}
	for _, b := range builds(a) {
		b.appendRoot()
	}
}

// podContext gives the pod's security context, an empty one where it has none.
func podContext(w *app.Workload) corev1.PodSecurityContext {
	if w.Pod.SecurityContext == nil {
		return corev1.PodSecurityContext{}
	}
	return *w.Pod.SecurityContext
}

// containerContext gives the container's security context, an empty one where it
// has none.
func containerContext(c *app.Container) corev1.SecurityContext {
	if c.Spec.SecurityContext == nil {
		return corev1.SecurityContext{}
	}
	return *c.Spec.SecurityContext
}

func isTrue(b *bool) bool  { return b != nil && *b }
func isFalse(b *bool) bool { return b != nil && !*b }
func isZero(n *int64) bool { return n != nil && *n == 0 }

// nameAll gives `container "a"` or `containers "a", "b"`.
func nameAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = fmt.Sprintf("%q", n)
	}
	word := "container "
	if len(names) > 1 {
		word = "containers "
	}
	return word + strings.Join(quoted, ", ")
}
