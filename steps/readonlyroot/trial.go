package readonlyroot

import (
	"slices"

	"road/internal/app"
	"road/internal/step"
)

// candidates gives the directories around those that a workload made, and then
// those for temporary files: one that never had a name leaves no trace in them.
func candidates(a *app.App, workload string) [][]string {
	around := step.Around(a, workload, func(c *app.Container, _ string) bool { return !readOnly(c) })
	var groups [][]string
	if len(around) > 0 {
		groups = append(groups, around)
	}
	if more := unseen(a, workload); len(more) > 0 {
		groups = append(groups, more)
	}
	return groups
}

// unseen gives the directories for temporary files that no container of the
// workload's was seen to write in.
func unseen(a *app.App, workload string) []string {
	var out []string
	w := a.Workload(workload)
	if w == nil {
		return nil
	}
	for c := range w.Containers() {
		if seen := a.Seen.Containers[workload][c.Spec.Name]; seen == nil || readOnly(c) {
			continue
		}
		for _, dir := range []string{"/tmp", "/var/tmp"} {
			if !step.OnVolume(a, c, dir) && !covered(needsOf(a, c).dirs, dir) && !slices.Contains(out, dir) {
				out = append(out, dir)
			}
		}
	}
	return out
}
