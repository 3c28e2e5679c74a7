package walk

import (
	"slices"
	"strings"

	"road/internal/sandbox"
)

// unready gives all workloads that are not ready when n is said of one, servers
// before jobs: a job often fails only because its server did.
func (w *walker) unready(n *sandbox.NotReadyError) []*sandbox.NotReadyError {
	all := []*sandbox.NotReadyError{n}
	if w.serving == nil || w.app.Workload(n.Workload) == nil {
		return all
	}
	for _, o := range w.serving.Unready() {
		if o.Workload != n.Workload {
			all = append(all, o)
		}
	}
	rank := func(e *sandbox.NotReadyError) int {
		if wl := w.app.Workload(e.Workload); wl != nil && wl.Finite() {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b *sandbox.NotReadyError) int { return rank(a) - rank(b) })
	return all
}

// blame says what keeps all of them from getting ready, with the last lines of each.
func blame(all []*sandbox.NotReadyError) (reasons, logs string) {
	if len(all) == 1 {
		return all[0].Error(), all[0].Logs
	}
	var said []string
	for _, n := range all {
		said = append(said, n.Error())
		if l := strings.TrimSpace(n.Logs); l != "" {
			logs += n.Workload + ":\n" + l + "\n"
		}
	}
	return strings.Join(said, "; "), logs
}
