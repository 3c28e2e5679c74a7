package step

import (
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/lift"
)

// Apply gives the new content of the files that a step's edits change. A
// workload gets all of the edits or none: an image that runs as somebody else
// needs the manifest that says so. Workloads in leftOut get none, nor do single
// containers there, which go by "ID container". Whoever could have the edits only
// together with one of these is added with the reason: the whole workload of such a
// container, and those that run the same image. So are those for which a file
// refuses an edit, and the second value names every such file.
func Apply(a *app.App, files edit.Files, edits []edit.Edit, leftOut map[string]string) (edit.Files, []*edit.Refused) {
	var refused []*edit.Refused
	for {
		edits = without(edits, a, leftOut)
		if a.Rendered != nil {
			after, now := lift.Apply(a, files, edits)
			if len(now) == 0 {
				return after, refused
			}
			refused = append(refused, blame(a, now, leftOut)...)
			edits = slices.DeleteFunc(slices.Clone(edits), func(e edit.Edit) bool {
				return slices.ContainsFunc(now, func(r lift.Refused) bool { return same(r.Edit, e) })
			})
			continue
		}
		after, now := edit.Apply(files, edits)
		if len(now) == 0 {
			return after, refused
		}
		refused = append(refused, now...)
		for _, r := range now {
			for _, id := range Workloads(a, r.File) {
				leftOut[id] = strings.TrimSuffix(r.Error()+" ("+r.Hint+")", " ()")
			}
			edits = slices.DeleteFunc(slices.Clone(edits), func(e edit.Edit) bool { return e.File == r.File })
		}
	}
}

// Remaining gives the edits that Apply would make with leftOut, as far as files
// do not refuse them.
func Remaining(a *app.App, edits []edit.Edit, leftOut map[string]string) []edit.Edit {
	return without(edits, a, leftOut)
}

// blame leaves out the workloads that refused edits are for.
func blame(a *app.App, now []lift.Refused, leftOut map[string]string) []*edit.Refused {
	var refused []*edit.Refused
	for _, r := range now {
		for _, u := range owners(r.Edit, a) {
			if _, known := leftOut[u.workload]; !known {
				leftOut[u.workload] = strings.TrimSuffix(r.Error()+" ("+r.Hint+")", " ()")
			}
		}
		refused = append(refused, r.Refused)
	}
	return refused
}

// same says whether two edits are one.
func same(a, b edit.Edit) bool {
	return a.File == b.File && a.Set == b.Set && a.Lines == b.Lines && (a.Create == nil) == (b.Create == nil)
}

// Workloads gives the workloads that a file holds, or whose image it makes.
func Workloads(a *app.App, file string) []string {
	var ids []string
	for _, w := range a.Workloads {
		if w.File == file || a.Rendered != nil && w.Pos(nil).File == file || uses(w, a, file) {
			ids = append(ids, w.ID())
		}
	}
	return ids
}

// without leaves out the edits that act on workloads or containers in leftOut, to
// which it adds those that could have them only together with one of these.
func without(edits []edit.Edit, a *app.App, leftOut map[string]string) []edit.Edit {
	if len(leftOut) == 0 {
		return edits
	}
	spread(edits, a, leftOut)
	var out []edit.Edit
	for _, e := range edits {
		owners := owners(e, a)
		gone := 0
		for _, u := range owners {
			if u.why(leftOut) != "" {
				gone++
			}
		}
		stays := gone < len(owners) && (gone == 0 || bond(e) == edit.Each)
		if len(owners) == 0 {
			stays = wholly(leftOut) < len(a.Workloads)
		}
		if stays && gone > 0 && e.Without != nil {
			e.Create = e.Without(staying(owners, leftOut))
			stays = len(e.Create) > 0
		}
		if stays {
			out = append(out, e)
		}
	}
	return out
}

// staying names the workloads among units that are left out.
func staying(list []unit, leftOut map[string]string) []string {
	var ids []string
	for _, u := range list {
		if u.why(leftOut) != "" {
			ids = append(ids, u.workload)
		}
	}
	return ids
}

// bond says what holds together those that an edit is for: whoever runs an image
// gets every change of it.
func bond(e edit.Edit) edit.Bond {
	if e.Lines != nil {
		return edit.Together
	}
	return e.Bond
}

// owners gives whom an edit is for; none for an object that is no workload where
// the edit names nobody. A unit without a container is the pod.
func owners(e edit.Edit, a *app.App) []unit {
	var list []unit
	for _, id := range e.For {
		list = append(list, unit{id, ""})
	}
	if len(list) > 0 {
		return list
	}
	for _, w := range a.Workloads {
		switch {
		case e.Lines != nil:
			for c := range w.Containers() {
				if runs(c, a, e.File) {
					list = append(list, unit{w.ID(), c.Spec.Name})
				}
			}
		case e.Set != nil && w.File == e.File && w.Doc == e.Set.Doc && within(w, e.Set.Path):
			u := unit{w.ID(), ""}
			if c := container(e, w); c != nil {
				u.container = c.Spec.Name
			}
			list = append(list, u)
		}
	}
	return list
}

// within says whether a path leads into the workload: the items of a List share
// their document.
func within(w *app.Workload, path app.Path) bool {
	n := len(w.Within)
	return len(path) >= n && slices.Equal(path[:n], w.Within)
}

// uses says whether one of the workload's images is built from a Dockerfile, or
// starts with a script.
func uses(w *app.Workload, a *app.App, file string) bool {
	for c := range w.Containers() {
		if runs(c, a, file) {
			return true
		}
	}
	return false
}

// runs says that of one container.
func runs(c *app.Container, a *app.App, file string) bool {
	i := a.Image(c.Spec.Image)
	if i == nil || i.Build == nil {
		return false
	}
	script := func(s *app.Script) bool { return s.File == file }
	return i.Build.Dockerfile.File == file || slices.ContainsFunc(a.Scripts(i.Build), script)
}
