// Package pinnedimage is the step that names images by digest: what runs is what
// was tried, whoever moves a tag.
package pinnedimage

import (
	_ "embed"
	"fmt"
	"strings"

	"road/internal/app"
	"road/internal/step"
)

//go:embed explain.md
var explain string

// Step pins every image by the digest that a registry answered.
var Step = &step.Step{
	Name:    "pinned-image",
	Title:   "Pin every image by its digest",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "CIS Kubernetes 1.12", ID: "5.5.1"}, // in part
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1525"},
		{Framework: "ATT&CK v18", ID: "T1195.002"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
	Publish: true,
}

// check finds the images that are named by a tag, in manifests and behind FROM.
// A base has no workload: it is built once, here, and the image that comes of it
// has a digest of its own.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			if ref := c.Spec.Image; ref != "" && !pinned(ref) {
				message, hint, run := words(a, fmt.Sprintf("container %q", c.Spec.Name), ref)
				f = append(f, step.Finding{Pos: c.Pos("image"), Workload: w.ID(), Container: c.Spec.Name, Message: message, Hint: hint, NeedsRun: run})
			}
		}
	}
	for d, s := range bases(a) {
		message, hint, run := words(a, "the image", s.Base)
		if _, ok := pinLine(line(d, s.Line), s.Base, app.Pin{}); !ok {
			hint, run = "write the digest where the name stands: in the ARG, or on the line below", true
		}
		f = append(f, step.Finding{Pos: app.Pos{File: d.File, Line: s.Line}, Message: message, Hint: hint, NeedsRun: run})
	}
	step.Sort(f)
	return f
}

// words says what is wrong with a reference, what to do about it, and whether
// only a run can tell.
func words(a *app.App, who, ref string) (message, hint string, needsRun bool) {
	pin, asked := a.Seen.Pins[ref]
	message = fmt.Sprintf("%s starts from %s, a tag that whoever may push can move", who, ref)
	switch {
	case pin.Digest != "":
		return message, "write " + written(ref, pin), false
	case asked:
		return fmt.Sprintf("%s starts from %s, a tag, and there is no digest to pin: %s", who, ref, pin.Why), "road walk --registry HOST/FOLDER pushes what is built here and writes the digest; or push it and write it by hand", true
	}
	return message, "write behind the tag the digest that its registry answers: " + ref + "@sha256:...", true
}

// written is how a pinned image is named: the tag stays, for people.
func written(ref string, pin app.Pin) string {
	if pin.Name != "" {
		ref = pin.Name
	}
	return ref + "@" + pin.Digest
}

func pinned(ref string) bool { return strings.Contains(ref, "@sha256:") }

// bases visits each FROM of the Dockerfiles that make images of workloads, where
// it names an image by tag: neither scratch nor a stage nor what only a build
// argument says.
func bases(a *app.App) func(yield func(*app.Dockerfile, *app.Stage) bool) {
	return func(yield func(*app.Dockerfile, *app.Stage) bool) {
		seen := map[*app.Stage]bool{}
		for _, i := range a.Images {
			if i.Build == nil {
				continue
			}
			stages := map[string]bool{}
			for _, s := range i.Build.Dockerfile.Stages {
				names := s.Base == "" || s.Base == "scratch" || stages[strings.ToLower(s.Base)] || pinned(s.Base)
				if s.Name != "" {
					stages[strings.ToLower(s.Name)] = true
				}
				if names || seen[s] {
					continue
				}
				seen[s] = true
				if !yield(i.Build.Dockerfile, s) {
					return
				}
			}
		}
	}
}

// weaken takes every digest off, in memory.
func weaken(a *app.App) {
	for _, i := range a.Images {
		if pinned(i.Ref) {
			step.Unpin(a, i)
		}
	}
	for _, i := range a.Images {
		if i.Build != nil {
			unpinBases(i.Build.Dockerfile)
		}
	}
}
