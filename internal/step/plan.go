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
// every manifest that names it. A digest behind the name of such an image goes
// away whatever road.yaml says: it stands for the image as it was before.
//
// Callers use Plan, never Fix alone, so that what is shown, tried and written
// is the same.
func Plan(s *Step, a *app.App) ([]edit.Edit, error) {
	edits, err := s.Fix(a)
	if err != nil || s.Publish { // which writes names itself
		return edits, err
	}
	return append(edits, nameEdits(a, edits)...), nil
}

// nameEdits renames the images whose Dockerfiles edits change.
func nameEdits(a *app.App, edits []edit.Edit) []edit.Edit {
	changed := map[string]bool{}
	for _, e := range edits {
		changed[e.File] = true
	}
	var tags []edit.Edit
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			i := a.Image(c.Spec.Image)
			if i == nil || i.Build == nil || !changed[i.Build.Dockerfile.File] {
				continue
			}
			ref, _, _ := strings.Cut(i.Ref, "@")
			if a.Config.TagsByStop() && a.Stop > 0 {
				ref = i.Name + ":" + strconv.Itoa(a.Stop)
			}
			if ref != i.Ref {
				tags = append(tags, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: c.Path.Join("image"), Value: ref}})
			}
		}
	}
	return tags
}

// Weaken takes a step's protection away from a, in memory. An image whose
// Dockerfile that changes loses its digest, which would have the image as it was
// before run in its place.
func Weaken(s *Step, a *app.App) {
	before := map[*app.Dockerfile]string{}
	for _, d := range a.Dockerfiles {
		before[d] = string(d.Content)
	}
	s.Weaken(a)
	for _, i := range a.Images {
		if i.Build != nil && before[i.Build.Dockerfile] != string(i.Build.Dockerfile.Content) {
			Unpin(a, i)
		}
	}
}

// Unpin takes the digest off an image's name wherever a workload has it, in
// memory.
func Unpin(a *app.App, i *app.Image) {
	ref, _, _ := strings.Cut(i.Ref, "@")
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if c.Spec.Image == i.Ref {
				c.Spec.Image = ref
			}
		}
	}
	i.Ref = ref
}

// Sort puts findings into the order of files and lines, in which every output
// shows them. Findings of one line keep their order.
func Sort(f []Finding) {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
