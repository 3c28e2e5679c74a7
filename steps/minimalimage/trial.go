package minimalimage

import (
	"path"
	"slices"

	"road/internal/app"
)

// candidates gives what a workload may lack that does not work with what it was
// seen to open: the rungs above, where its images are made of Debian packages, else
// whole directories. None has programs for everybody but the last rung.
func candidates(a *app.App, workload string) [][]string {
	var groups [][]string
	for _, t := range targets(a) {
		if !slices.ContainsFunc(t.uses, func(c *app.Container) bool { return c.Workload.ID() == workload }) {
			continue
		}
		if p, _ := t.plan(a); p == nil || t.minimal(a) {
			continue
		}
		more := t.directories(a)
		if t.packaged(a) {
			more = t.rungs(a)
		}
		for _, g := range more {
			if !slices.ContainsFunc(groups, func(had []string) bool { return slices.Equal(had, g) }) {
				groups = append(groups, g)
			}
		}
	}
	return groups
}

// rungs gives what is above the image's own rung.
func (t *target) rungs(a *app.App) [][]string {
	p, _ := t.plan(a)
	var groups [][]string
	if p.rung == opened {
		groups = append(groups, []string{wholePackages})
	}
	if p.shell { // it was in front of a command, and may be more than that
		groups = append(groups, []string{withShell})
	}
	return append(groups, []string{slimBase})
}

// directories gives directories of the image: the application's own first, then
// those for data and configuration, then those for libraries.
func (t *target) directories(a *app.App) [][]string {
	groups := [][]string{{"/etc", "/usr/share"}, {"/usr/lib", "/var/lib"}}
	if dir := path.Clean("/" + t.facts(a).WorkingDir); !slices.Contains(roots, dir) {
		groups = append([][]string{{dir}}, groups...)
	}
	return groups
}

// grant notes what a workload's images keep.
func grant(a *app.App, workload string, names []string) {
	w := a.Workload(workload)
	if w == nil {
		return
	}
	for c := range w.Containers() {
		if c.Kind != app.Ephemeral {
			kept := slices.Clone(names)
			slices.Sort(kept)
			a.Seen.Inside(workload, c.Spec.Name).Kept = kept
		}
	}
}
