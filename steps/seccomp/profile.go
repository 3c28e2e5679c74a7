package seccomp

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"

	corev1 "k8s.io/api/core/v1"
)

const name = "seccomp"

// A choice is what road.yaml may choose, for one workload or for all.
type choice struct {
	// Profile is "runtime-default", or "localhost" for a profile of the container's
	// own, learned by running it.
	Profile string `json:"profile"`
}

const (
	runtimeDefault = "runtime-default"
	localhost      = "localhost"
)

// ownProfile says whether w's containers get profiles of their own.
func ownProfile(a *app.App, w *app.Workload) (bool, error) {
	ch := choice{Profile: runtimeDefault}
	if err := a.Config.Choice(name, w, &ch); err != nil {
		return false, err
	}
	switch ch.Profile {
	case runtimeDefault, localhost:
		return ch.Profile == localhost, nil
	}
	return false, fmt.Errorf("%s: steps: %s: profile %q is neither %s nor %s", app.FileName, name, ch.Profile, runtimeDefault, localhost)
}

// trace says whether the fix wants to know the system calls of the application
// as it stands.
func trace(a *app.App) bool {
	return slices.ContainsFunc(a.Workloads, func(w *app.Workload) bool { return len(unprofiled(a, w)) > 0 })
}

// unprofiled gives the containers of w that are to have a profile of their own
// and have none; those of which is known that they cannot have one are left out.
func unprofiled(a *app.App, w *app.Workload) []*app.Container {
	if own, err := ownProfile(a, w); err != nil || !own || windows(w) {
		return nil // a wrong choice is fix's to report
	}
	var out []*app.Container
	for c := range w.Containers() {
		p := profileOf(c)
		if c.Kind == app.Ephemeral || privileged(c) || p != nil && p.Type == corev1.SeccompProfileTypeLocalhost {
			continue
		}
		if s := callsOf(a, c); s == nil || s.Fault == "" {
			out = append(out, c)
		}
	}
	return out
}

// callsOf gives what a run showed c to call, nil where none was recorded.
func callsOf(a *app.App, c *app.Container) *app.SysCalls {
	if seen := a.Seen.Containers[c.Workload.ID()][c.Spec.Name]; seen != nil {
		return seen.SysCalls
	}
	return nil
}

// profileOf gives the profile that holds for a container, nil for none.
func profileOf(c *app.Container) *corev1.SeccompProfile {
	if sc := c.Spec.SecurityContext; sc != nil && sc.SeccompProfile != nil {
		return sc.SeccompProfile
	}
	if sc := c.Workload.Pod.SecurityContext; sc != nil {
		return sc.SeccompProfile
	}
	return nil
}

func privileged(c *app.Container) bool {
	sc := c.Spec.SecurityContext
	return sc != nil && sc.Privileged != nil && *sc.Privileged
}

func windows(w *app.Workload) bool { return w.Pod.OS != nil && w.Pod.OS.Name == corev1.Windows }

// A profile is a filter in the form in which a node's runtime reads it.
type profile struct {
	DefaultAction string            `json:"defaultAction"`
	Architectures []string          `json:"architectures"`
	Syscalls      []app.SysCallRule `json:"syscalls"`
}

const (
	allow  = "SCMP_ACT_ALLOW"
	refuse = "SCMP_ACT_ERRNO"
)

// profileFor gives a profile that allows what was called, as far as the runtime's
// own filter allows it: a rule of that filter which looks at arguments stays. So
// do its refusals with an answer of their own: the C library asks for clone3
// first, and falls back to clone only where there is "no such call".
func profileFor(s *app.SysCalls) profile {
	p := profile{DefaultAction: refuse, Architectures: []string{s.Architecture}}
	plain := append(slices.Clone(s.Names), endings...)
	slices.Sort(plain)
	plain = slices.Compact(plain)
	var rules []app.SysCallRule
	for _, r := range s.Rules {
		if r.Action == allow {
			r.Names = slices.DeleteFunc(slices.Clone(r.Names), func(n string) bool { return !slices.Contains(s.Names, n) })
		}
		if len(r.Names) == 0 {
			continue
		}
		plain = slices.DeleteFunc(plain, func(n string) bool { return slices.Contains(r.Names, n) })
		rules = append(rules, r)
	}
	p.Syscalls = append([]app.SysCallRule{{Names: plain, Action: allow}}, rules...)
	return p
}

// endings are in every profile, though a run may not show them: how a thread and a
// process end, and how the kernel itself goes back into a program that a signal
// has interrupted. They reach nothing.
var endings = []string{"exit", "exit_group", "restart_syscall", "rt_sigreturn"}

// render writes a profile as a file.
func (p profile) render() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	_ = e.Encode(p) // plain values: cannot fail
	return b.Bytes()
}

// A namer gives profiles names that no other of the application has: they end up
// in one folder of the node.
type namer map[string]bool

func namesOf(a *app.App) namer {
	taken := namer{}
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if p := profileOf(c); p != nil && p.LocalhostProfile != nil {
				taken[*p.LocalhostProfile] = true
			}
		}
	}
	return taken
}

// name names the profile of a container after its workload, and after itself
// where the workload has several. No file of that name lies beside the workload's.
func (n namer) name(a *app.App, c *app.Container) string {
	base := clean(c.Workload.Name)
	if len(c.Workload.Pod.Containers)+len(c.Workload.Pod.InitContainers) > 1 {
		base += "-" + clean(c.Spec.Name)
	}
	for i, candidate := 2, base; ; i++ {
		if file := "profiles/" + candidate + ".json"; !n[file] && a.Free(path.Join(path.Dir(c.Workload.File), file)) {
			n[file] = true
			return file
		}
		candidate = fmt.Sprintf("%s-%d", base, i)
	}
}

// clean makes a name of a manifest one of a file.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, strings.ToLower(s))
}

// fixProfiles gives w's containers profiles of their own, where a run showed what
// they call. The second value holds the containers that get one.
func fixProfiles(a *app.App, w *app.Workload, names namer) (edits []edit.Edit, got map[string]bool) {
	got = map[string]bool{}
	for _, c := range unprofiled(a, w) {
		s := callsOf(a, c)
		if s == nil || len(s.Names) == 0 {
			continue
		}
		file := names.name(a, c)
		got[c.Path.String()] = true
		edits = append(edits, edit.Edit{File: path.Join(path.Dir(w.File), file), Create: profileFor(s).render(), For: []string{w.ID()}})
		edits = append(edits, refer(c, file, comment(s))...)
	}
	return edits, got
}

// refer has c's security context name the profile. One that names another type
// keeps its place and its comments.
func refer(c *app.Container, file, comment string) []edit.Edit {
	at := c.Path.Join("securityContext", "seccompProfile")
	set := func(p app.Path, v any, comment string) edit.Edit {
		return edit.Edit{File: c.Workload.File, Set: &edit.Set{Doc: c.Workload.Doc, Path: p, Value: v, Comment: comment}}
	}
	if c.Workload.Has(at.Join("type")) {
		return []edit.Edit{
			set(at.Join("type"), string(corev1.SeccompProfileTypeLocalhost), ""),
			set(at.Join("localhostProfile"), file, comment),
		}
	}
	return []edit.Edit{set(at, edit.Map{
		{Key: "type", Value: string(corev1.SeccompProfileTypeLocalhost)},
		{Key: "localhostProfile", Value: file}}, comment)}
}

// comment says where a profile holds, and where it has to be.
func comment(s *app.SysCalls) string {
	return fmt.Sprintf("The %d system calls that it was seen to make, on %s with %s; every node needs the file below /var/lib/kubelet/seccomp",
		len(s.Names), s.Architecture, s.Runtime)
}
