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
// containers there, which go by "ID container"; where the edits change what such
// a container shares with others, the whole workload is added to it. Those for
// which a file refuses an edit are added with the reason, and the second value
// names every such file.
func Apply(a *app.App, files edit.Files, edits []edit.Edit, leftOut map[string]string) (edit.Files, []*edit.Refused) {
	var refused []*edit.Refused
	wider(edits, a, leftOut)
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
	wider(edits, a, leftOut)
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

// without leaves out the edits that belong to workloads or containers in leftOut
// alone: those of their objects, and those of Dockerfiles whose images nobody else
// runs.
func without(edits []edit.Edit, a *app.App, leftOut map[string]string) []edit.Edit {
	if len(leftOut) == 0 {
		return edits
	}
	var out []edit.Edit
	for _, e := range edits {
		owners := owners(e, a)
		stays := len(owners) == 0 && wholly(leftOut) < len(a.Workloads)
		for _, u := range owners {
			_, gone := leftOut[u.workload]
			if _, spared := leftOut[u.key()]; !gone && !spared {
				stays = true
			}
		}
		if stays {
			out = append(out, e)
		}
	}
	return out
}

// owners gives whom an edit is for; none for an object that is no workload and
// for a new file that is for no workload alone. A unit without a container is the
// pod.
func owners(e edit.Edit, a *app.App) []unit {
	if e.For != "" {
		return []unit{{e.For, ""}}
	}
	var list []unit
	for _, w := range a.Workloads {
		switch {
		case e.Set != nil && w.File == e.File && w.Doc == e.Set.Doc && within(w, e.Set.Path):
			u := unit{w.ID(), ""}
			if c := container(e, w); c != nil {
				u.container = c.Spec.Name
			}
			list = append(list, u)
		case e.Lines != nil:
			list = append(list, units(a, Finding{Pos: app.Pos{File: e.File}})...)
			return list
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
		i := a.Image(c.Spec.Image)
		if i == nil || i.Build == nil {
			continue
		}
		script := func(s *app.Script) bool { return s.File == file }
		if i.Build.Dockerfile.File == file || slices.ContainsFunc(a.Scripts(i.Build), script) {
			return true
		}
	}
	return false
}
