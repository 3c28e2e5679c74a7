package step

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"road/internal/app"
	"road/internal/edit"
)

// A unit is one container of a workload.
type unit struct{ workload, container string }

// key names a unit where reasons for leaving out are kept: beside the workloads,
// which go by their ID alone.
func (u unit) key() string { return u.workload + " " + u.container }

// why gives the reason for which a unit is left out, "" where it is not.
func (u unit) why(leftOut map[string]string) string {
	if why, out := leftOut[u.workload]; out {
		return cmp.Or(why, "left out")
	}
	if why, out := leftOut[u.key()]; out {
		return cmp.Or(why, "left out")
	}
	return ""
}

// units gives the containers that a finding is about: its own, all of the
// workload's, or for a Dockerfile those that run what it makes.
func units(a *app.App, f Finding) []unit {
	var out []unit
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if f.Workload == "" {
				if i := a.Image(c.Spec.Image); i == nil || i.Build == nil || i.Build.Dockerfile.File != f.File {
					continue
				}
			} else if f.Workload != w.ID() || f.Container != "" && f.Container != c.Spec.Name {
				continue
			}
			out = append(out, unit{w.ID(), c.Spec.Name})
		}
	}
	return out
}

// Excepted gives the exception that covers what a step found, nil for none. What
// is about several containers is covered where each of them is. One that has
// ended covers nothing any more: it is given where the finding would be covered
// if it had not.
func Excepted(list []*app.Exception, s *Step, a *app.App, f Finding, now time.Time) *app.Exception {
	if len(list) == 0 {
		return nil
	}
	var by *app.Exception
	for _, u := range units(a, f) {
		var own *app.Exception
		for _, x := range list {
			if x.Step == s.Name && x.Workload == u.workload && (x.Container == "" || x.Container == u.container) && (own == nil || own.Ended(now)) {
				own = x
			}
		}
		if own == nil {
			return nil
		}
		if by == nil || own.Ended(now) {
			by = own
		}
	}
	return by
}

// Spared says whom a step leaves alone, and why, in the form that Apply takes: those
// with an exception that has not ended, and those that the target's clusters would
// not bear with it.
func Spared(list []*app.Exception, s *Step, a *app.App, now time.Time) map[string]string {
	out := map[string]string{}
	for _, x := range list {
		if x.Step != s.Name || x.Ended(now) {
			continue
		}
		if x.Container == "" {
			out[x.Workload] = x.String()
		} else {
			out[unit{x.Workload, x.Container}.key()] = x.String()
		}
	}
	for _, w := range a.Workloads {
		if why := Unborne(s, a, w.ID()); why != "" {
			out[w.ID()] = why
		}
	}
	return out
}

// Unborne says why the target's clusters do not bear a step in a workload, ""
// where they do.
func Unborne(s *Step, a *app.App, workload string) string {
	if s.Unborne == nil || a.Config.Target == (app.Target{}) {
		return ""
	}
	for _, w := range a.Workloads {
		if w.ID() == workload {
			if why := s.Unborne(a, w); why != "" {
				return "not for the target: " + why
			}
		}
	}
	return ""
}

// Why says why a step leaves a workload, or one of those that run an image, as it
// found it: "" where leftOut has none of them.
func Why(a *app.App, f Finding, leftOut map[string]string) string {
	for _, u := range units(a, f) {
		if why := leftOut[u.workload]; why != "" {
			return why
		}
	}
	return ""
}

// spread leaves out who could have edits only together with somebody left out.
func spread(edits []edit.Edit, a *app.App, leftOut map[string]string) {
	for before := -1; before < len(leftOut); {
		before = len(leftOut)
		wider(edits, a, leftOut)
		for _, e := range edits {
			if bond(e) == edit.Together {
				along(e, owners(e, a), leftOut)
			}
		}
	}
}

// along leaves out all that an edit is for where one of them is left out.
func along(e edit.Edit, owners []unit, leftOut map[string]string) {
	i := slices.IndexFunc(owners, func(u unit) bool { return u.why(leftOut) != "" })
	if i < 0 {
		return
	}
	first := owners[i]
	who := strings.TrimSuffix(strings.Replace(first.key(), " ", " container ", 1), " container ")
	why := fmt.Sprintf("%s changes for %s too, which is to stay as it is: %s", e.File, who, first.why(leftOut))
	for _, u := range owners {
		if u.why(leftOut) == "" {
			leftOut[u.workload] = why
		}
	}
}

// wider leaves out whole workloads of which one container is to be left alone
// where the edits change what all containers share.
func wider(edits []edit.Edit, a *app.App, leftOut map[string]string) {
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			why, spared := leftOut[unit{w.ID(), c.Spec.Name}.key()]
			if _, out := leftOut[w.ID()]; !spared || out {
				continue
			}
			for _, e := range edits {
				if shared(e, w) {
					leftOut[w.ID()] = "container " + c.Spec.Name + " is " + why + "; the step changes what it shares with the others"
					break
				}
			}
		}
	}
}

// shared says whether an edit changes a workload outside of its containers. What
// is added to the volumes only counts for containers that mount it.
func shared(e edit.Edit, w *app.Workload) bool {
	if slices.Contains(e.For, w.ID()) {
		return true
	}
	if e.Set == nil || w.File != e.File || w.Doc != e.Set.Doc || !within(w, e.Set.Path) {
		return false
	}
	if path, n := e.Set.Path, len(w.PodPath); len(path) > n && path[:n].String() == w.PodPath.String() && path[n] == "volumes" {
		return false
	}
	return container(e, w) == nil
}

// container gives the container of a workload that an edit changes, nil where it
// changes no single one.
func container(e edit.Edit, w *app.Workload) *app.Container {
	for c := range w.Containers() {
		if n := len(c.Path); len(e.Set.Path) >= n && e.Set.Path[:n].String() == c.Path.String() {
			return c
		}
	}
	return nil
}

// wholly counts the workloads that are left out as a whole.
func wholly(leftOut map[string]string) int {
	n := 0
	for k := range leftOut {
		if !strings.Contains(k, " ") {
			n++
		}
	}
	return n
}
