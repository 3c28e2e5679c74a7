package check

import (
	"fmt"
	"slices"
	"strings"

	"road/internal/app"
)

// Passed gives what could not be used.
func Passed(a *app.App) []Problem {
	out := []Problem{}
	for _, p := range a.Problems {
		out = append(out, Problem{p.File, p.Line, p.Column, p.Message, p.Hint, p.Unread})
	}
	return out
}

// Notes gives what is no fault of the road's and what its owner hardly meant:
// Services that nobody answers, workloads that stand twice, Dockerfiles that make
// nothing. oneFile says that a is one file, so that the pods of a Service may stand
// in another. place names a place in a message as its reader can open it.
func Notes(a *app.App, oneFile bool, place func(app.Pos) string) []Problem {
	out := []Problem{}
	note := func(at app.Pos, message, hint string) {
		out = append(out, Problem{File: at.File, Line: at.Line, Message: message, Hint: hint})
	}
	for _, t := range a.Twins() {
		note(t.Later.Pos(nil), t.Say(place), "take one out, or give the folder of the one that is meant")
	}
	if !oneFile {
		for _, o := range a.Unselected() {
			note(o.Pos(nil), app.NoPod(o), "")
		}
	}
	for _, d := range untied(a) {
		note(app.Pos{File: d.File}, "builds no image that a manifest names", "say which in road.yaml: images")
	}
	return out
}

// untied gives the Dockerfiles that no image is built from, so that nobody takes
// silence about them for praise.
func untied(a *app.App) []*app.Dockerfile {
	var out []*app.Dockerfile
	for _, d := range a.Dockerfiles {
		if !slices.ContainsFunc(slices.Concat(a.Images, a.StandIns), func(i *app.Image) bool { return i.Build != nil && i.Build.Dockerfile.File == d.File }) {
			out = append(out, d)
		}
	}
	return out
}

// maxNamed is how many files a summary names.
const maxNamed = 5

// Unread sums up in one line which files were not looked at, "" for none. They
// change no exit status: templates and what is meant for others lie beside
// manifests. But nobody may take silence about them for praise.
func Unread(problems []Problem, place func(app.Pos) string) string {
	var names []string
	for _, p := range problems {
		if name := place(app.Pos{File: p.File}); p.Unread && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	n := len(names)
	if n == 0 {
		return ""
	}
	if n > maxNamed {
		names = append(names[:maxNamed], fmt.Sprintf("and %d more", n-maxNamed))
	}
	return fmt.Sprintf("%s not checked, or not all in it: %s", counted(n, "file was", "files were"), strings.Join(names, ", "))
}
