package minimalimage

import (
	"path"
	"slices"

	"road/internal/app"
)

// candidates gives what a workload may lack that does not work with what it was
// seen to open: whole directories of its image, the application's own first, then
// those for data and configuration, then those for libraries. None has programs
// for everybody.
func candidates(a *app.App, workload string) [][]string {
	var own []string
	found := false
	for _, t := range targets(a) {
		if p, _ := t.plan(a); p == nil || t.minimal(a) {
			continue
		}
		for _, c := range t.uses {
			if c.Workload.ID() != workload {
				continue
			}
			found = true
			if dir := path.Clean("/" + t.facts(a).WorkingDir); !slices.Contains(roots, dir) && !slices.Contains(own, dir) {
				own = append(own, dir)
			}
		}
	}
	if !found {
		return nil
	}
	groups := [][]string{{"/etc", "/usr/share"}, {"/usr/lib", "/var/lib"}}
	if len(own) > 0 {
		groups = append([][]string{own}, groups...)
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
