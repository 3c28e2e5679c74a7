package nonroot

import (
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// What the lines that fix adds to a Dockerfile for OpenShift say of themselves.
const (
	groupComment  = "# The app was seen to write here: for any user of group 0, as OpenShift gives them"
	closedComment = "# The app was seen to need to read this: for group 0"
	backComment   = "# Back to root, for what follows alone"
)

// assigned says whether the cluster gives pods their users: OpenShift's
// restricted-v2 takes no other. The group is 0 then.
func assigned(a *app.App) bool { return a.Config.Target.OpenShift }

// A fixed is an id that a manifest gives and OpenShift would give.
type fixed struct {
	path      app.Path
	container string
	field     string
	id        int64
}

// fixedIDs lists the ids that w gives. Of root there is another finding, but what
// is written for it has to go all the same.
func fixedIDs(w *app.Workload) []fixed {
	var out []fixed
	add := func(at app.Path, container, field string, id *int64) {
		if id != nil {
			out = append(out, fixed{at.Join("securityContext", field), container, field, *id})
		}
	}
	sc := podContext(w)
	add(w.PodPath, "", "runAsUser", sc.RunAsUser)
	add(w.PodPath, "", "runAsGroup", sc.RunAsGroup)
	add(w.PodPath, "", "fsGroup", sc.FSGroup)
	for c := range w.Containers() {
		own := containerContext(c)
		add(c.Path, c.Spec.Name, "runAsUser", own.RunAsUser)
		add(c.Path, c.Spec.Name, "runAsGroup", own.RunAsGroup)
	}
	return out
}

// checkFixed finds the ids that OpenShift refuses.
func checkFixed(w *app.Workload) []step.Finding {
	var f []step.Finding
	for _, x := range fixedIDs(w) {
		if x.field == "runAsUser" && x.id == 0 {
			continue
		}
		who := "the pod"
		if x.container != "" {
			who = fmt.Sprintf("container %q", x.container)
		}
		f = append(f, step.Finding{Pos: w.Pos(x.path), Workload: w.ID(), Container: x.container,
			Message: fmt.Sprintf("%s says %s: %d, and OpenShift's restricted-v2 gives it another", who, x.field, x.id), Hint: "take it out"})
	}
	return f
}

// takeOut gives the edits without which OpenShift would refuse w.
func takeOut(w *app.Workload) []edit.Edit {
	var paths []app.Path
	for _, x := range fixedIDs(w) {
		paths = append(paths, x.path)
	}
	for c := range w.Containers() {
		own := containerContext(c)
		own.RunAsUser, own.RunAsGroup = nil, nil
		if c.Spec.SecurityContext == nil || !reflect.DeepEqual(own, corev1.SecurityContext{}) {
			continue
		}
		paths = append(paths, c.Path.Join("securityContext"))
	}
	var edits []edit.Edit
	for _, p := range paths {
		edits = append(edits, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: p}})
	}
	return edits
}

// fixAssigned has an image that runs as somebody already bear a user that nobody
// knows: what it was seen to write goes to group 0.
func fixAssigned(b *build, u user, uid int64, blocks []string) []edit.Edit {
	end := userComment + "\n" + fmt.Sprintf("USER %d", uid)
	if u.kind == numericUser {
		end = "USER " + strings.Join(strings.Fields(u.text), " ")
	}
	return b.insert(slices.Concat([]string{backComment + "\nUSER 0"}, blocks, []string{end})...)
}

// missing drops what the stage does already.
func (b *build) missing(blocks []string) []string {
	return slices.DeleteFunc(blocks, func(block string) bool {
		_, run, _ := strings.Cut(block, "\nRUN ")
		return slices.ContainsFunc(b.stage.Instructions, func(in app.Instruction) bool {
			return in.Name == "RUN" && slices.Equal(strings.Fields(in.Args), strings.Fields(run))
		})
	})
}

// opened gives the RUN instruction that lets group 0 read what the app was refused,
// "" for none: the directory that holds it, which may be closed itself, unless it is
// one that others share.
func (b *build) opened(a *app.App) string {
	var names []string
	for _, in := range b.inside(a) {
		for _, d := range in.Denied {
			name := path.Clean(d.Name)
			if d.What != "read" || !in.inImage(name) || !mayGive(name, secret) {
				continue
			}
			if dir := path.Dir(name); mayGive(dir, never) && mayGive(dir, secret) && !slices.Contains(shared, dir) {
				name = dir
			}
			names = append(names, quote(name))
		}
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return ""
	}
	list := strings.Join(names, " ")
	return fmt.Sprintf("RUN chgrp -R 0 %s && chmod -R g+rX %s", list, list)
}
