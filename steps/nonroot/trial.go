package nonroot

import (
	"road/internal/app"
	"road/internal/step"
)

// candidates gives the directories around those that a workload made, as far as
// its user may get them.
func candidates(a *app.App, workload string) [][]string {
	around := step.Around(a, workload, func(_ *app.Container, dir string) bool { return mayGive(dir, never) })
	if len(around) == 0 {
		return nil
	}
	return [][]string{around}
}
