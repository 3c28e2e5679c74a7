package step

import (
	"slices"

	"road/internal/app"
)

// Around gives the candidates of a Trial for a step that makes directories
// writable: those around the ones that a workload's containers made, of which may
// says that they may be had. Where a name differs from run to run, or has to be
// new, the one that was seen is of no use.
func Around(a *app.App, workload string, may func(c *app.Container, dir string) bool) []string {
	w := a.Workload(workload)
	if w == nil {
		return nil
	}
	var around []string
	for c := range w.Containers() {
		seen := a.Seen.Containers[workload][c.Spec.Name]
		if seen == nil {
			continue
		}
		for _, dir := range seen.Around() {
			if may(c, dir) {
				around = append(around, dir)
			}
		}
	}
	slices.Sort(around)
	return slices.Compact(around)
}

// GrantWhole notes which directories a workload's containers have to be able to
// write in themselves: the Grant of such a Trial.
func GrantWhole(a *app.App, workload string, names []string) {
	w := a.Workload(workload)
	if w == nil {
		return
	}
	for c := range w.Containers() {
		if seen := a.Seen.Containers[workload][c.Spec.Name]; seen != nil {
			seen.Whole = slices.Sorted(slices.Values(names))
		}
	}
}
