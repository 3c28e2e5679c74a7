package step

import "road/internal/app"

// FirstList names the list of containers that stands first in w's manifest: a
// security context of the pod goes in front of it.
func FirstList(w *app.Workload) string {
	initial, normal := w.PodPath.Join(string(app.Init)), w.PodPath.Join(string(app.Normal))
	if i, n := w.Pos(initial), w.Pos(normal); w.Has(initial) && (i.Line < n.Line || i.Line == n.Line && i.Column < n.Column) {
		return string(app.Init)
	}
	return string(app.Normal)
}
