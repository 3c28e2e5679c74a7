package readonlyroot

import (
	"slices"

	"road/internal/app"
)

// candidates gives the directories around those that a workload made: where a
// name differs from run to run, or has to be new, a volume at the one that was
// seen is of no use, and the one around it gets the volume.
func candidates(a *app.App, workload string) [][]string {
	var around []string
	w := a.Workload(workload)
	if w == nil {
		return nil
	}
	for c := range w.Containers() {
		if seen := a.Seen.Containers[workload][c.Spec.Name]; seen != nil && !readOnly(c) {
			around = append(around, seen.Around()...)
		}
	}
	slices.Sort(around)
	if around = slices.Compact(around); len(around) == 0 {
		return nil
	}
	return [][]string{around}
}

// grant notes which of them have to be writable themselves.
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
