package app

import "fmt"

// A Twin is a workload that stands twice: of one kind and name in one namespace.
// A cluster has room for one of them.
type Twin struct {
	Earlier, Later *Workload
}

// Twins gives the workloads that stand again where one before them had their kind,
// namespace and name; in file order. Variants of one application look like that,
// such as the folders of two clusters, and so does a copy that was forgotten. What
// is rendered names its objects as they come out, so an overlay is no twin of its
// base.
func (a *App) Twins() []Twin {
	var out []Twin
	last := map[string]*Workload{}
	for _, w := range a.Workloads {
		if w.Name == "" {
			continue // the cluster makes a name
		}
		key := w.ID() + "\x00" + w.Home()
		if before := last[key]; before != nil {
			out = append(out, Twin{before, w})
		}
		last[key] = w
	}
	return out
}

// Say says it of the later one; place names a place as its reader can open it.
func (t Twin) Say(place func(Pos) string) string {
	return fmt.Sprintf("%s stands here again, after %s: one namespace holds one of that name, the last that is applied",
		t.Later.ID(), place(t.Earlier.Pos(nil)))
}
