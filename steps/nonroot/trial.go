package nonroot

import (
	"slices"

	"road/internal/app"
)

// candidates gives the directories around those that a workload made: where a
// name differs from run to run, or has to be new, the one around it has to be its
// user's.
func candidates(a *app.App, workload string) [][]string {
	var around []string
	w := a.Workload(workload)
	if w == nil {
		return nil
	}
	for c := range w.Containers() {
		if seen := a.Seen.Containers[workload][c.Spec.Name]; seen != nil {
			around = append(around, seen.Around()...)
		}
	}
	slices.Sort(around)
	around = slices.DeleteFunc(slices.Compact(around), func(dir string) bool { return !mayGive(dir, never) })
	if len(around) == 0 {
		return nil
	}
	return [][]string{around}
}

// grant notes which of them it has to be able to write in.
func grant(a *app.App, workload string, names []string) {
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
