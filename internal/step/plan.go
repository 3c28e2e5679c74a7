package step

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// Plan gives everything that a step changes in a: the edits of its Fix and,
// where road.yaml says "steps: {tags: stop}" and a stop is being made, a tag of
// the stop's number for every image whose Dockerfile those edits change, in
// every manifest that names it. An image that a manifest names by digest keeps
// its name: the digest says what is meant.
//
// Callers use Plan, never Fix alone, so that what is shown, tried and written
// is the same.
func Plan(s *Step, a *app.App) ([]edit.Edit, error) {
	edits, err := s.Fix(a)
	if err != nil || !a.Config.TagsByStop() || a.Stop <= 0 {
		return edits, err
	}
	return append(edits, tagEdits(a, edits)...), nil
}

// tagEdits renames the images whose Dockerfiles edits change.
func tagEdits(a *app.App, edits []edit.Edit) []edit.Edit {
	changed := map[string]bool{}
	for _, e := range edits {
		changed[e.File] = true
	}
	var tags []edit.Edit
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			i := a.Image(c.Spec.Image)
			if i == nil || i.Build == nil || !changed[i.Build.Dockerfile.File] || strings.Contains(i.Ref, "@") {
				continue
			}
			if ref := i.Name + ":" + strconv.Itoa(a.Stop); ref != i.Ref {
				tags = append(tags, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: c.Path.Join("image"), Value: ref}})
			}
		}
	}
	return tags
}

// Sort puts findings into the order of files and lines, in which every output
// shows them. Findings of one line keep their order.
func Sort(f []Finding) {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
