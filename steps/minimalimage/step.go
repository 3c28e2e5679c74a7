// Package minimalimage is the step that takes everything out of an image but the
// application: no shell, no package manager, no tool that came along.
//
// A Dockerfile that makes the image gets a last stage that starts from scratch,
// with the programs that a run showed to be run, the libraries that they load and
// the files that they opened. Images that come from elsewhere are found and left
// to who makes them.
package minimalimage

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

//go:embed explain.md
var explain string

// Step leaves nothing in an image but the application.
var Step = &step.Step{
	Name:    "minimal-image",
	Title:   "Leave nothing in the image but the application",
	Explain: explain,
	Refs: []step.Ref{
		{Framework: "CIS Docker 1.7", ID: "4.3"},
		{Framework: "OWASP Kubernetes 2025", ID: "K01"},
		{Framework: "ATT&CK v18", ID: "T1059.004"},
		{Framework: "ATT&CK v18", ID: "T1609"},
	},
	Check:   check,
	Fix:     fix,
	Weaken:  weaken,
	Attacks: attacks,
	Keeps:   keeps,
	Learn:   learn,
	Trial:   &step.Trial{Candidates: candidates, Grant: grant},
}

// check finds the images that hold more than the application, once for each
// workload that runs one.
func check(a *app.App) []step.Finding {
	var f []step.Finding
	for _, t := range targets(a) {
		if t.minimal(a) {
			continue
		}
		_, why := t.plan(a)
		hint := "copy the application into a last stage that starts FROM scratch"
		switch {
		case t.image.Broken != nil:
			hint = "mend the Dockerfile"
		case t.stage == nil:
			hint = "build it from a Dockerfile of your own, or use a variant of it without a shell, such as a distroless one"
		}
		for _, w := range t.workloads() {
			pos := t.uses[0].Pos("image")
			if t.stage != nil {
				pos = app.Pos{File: t.file.File, Line: t.stage.Line}
			} else if i := slices.IndexFunc(t.uses, func(c *app.Container) bool { return c.Workload == w }); i > 0 {
				pos = t.uses[i].Pos("image")
			}
			f = append(f, step.Finding{Pos: pos, Workload: w.ID(), Message: t.message(a, why), Hint: hint, NeedsRun: t.stage != nil && why == "" && !t.seen(a)})
		}
	}
	step.Sort(f)
	return f
}

// message says what is in an image, and why the step leaves it, "" for nothing.
func (t *target) message(a *app.App, why string) string {
	what := "whatever its base brings along"
	switch facts := t.facts(a); {
	case facts.Shell != "":
		what = fmt.Sprintf("%d programs, with a shell (%s)", facts.Executables, facts.Shell)
	case t.stage == nil:
		what = "perhaps a shell and tools of a distribution"
	}
	m := fmt.Sprintf("image %q holds more than the application: %s", t.image.Name, what)
	if why != "" {
		m += "; it is left as it is: " + why
	}
	return m
}

// A target is one image, by all names that the manifests have for it, with the
// containers that run it.
type target struct {
	image *app.Image      // the first that a run showed, else the first
	file  *app.Dockerfile // nil for an image that comes from elsewhere, or whose own could not be read
	stage *app.Stage      // nil with file
	uses  []*app.Container
}

// targets gives the images of the application, each stage that makes one once.
// Debugging containers, which are started by hand, have tools on purpose.
func targets(a *app.App) []*target {
	var out []*target
	by := map[[2]string]*target{}
	for _, w := range a.Workloads {
		if w.Pod.OS != nil && w.Pod.OS.Name == corev1.Windows {
			continue
		}
		for c := range w.Containers() {
			img := a.Image(c.Spec.Image)
			if img == nil || c.Kind == app.Ephemeral {
				continue
			}
			key := [2]string{"", img.Ref}
			t := &target{image: img, uses: []*app.Container{c}}
			if img.Build != nil {
				key = [2]string{img.Build.Dockerfile.File, img.Build.Target}
				if t.file, t.stage = img.Build.Dockerfile, img.Build.Dockerfile.Final(img.Build.Target); t.stage == nil {
					continue
				}
			}
			if old := by[key]; old != nil {
				old.uses = append(old.uses, c)
				if _, seen := a.Seen.Images[old.image.Ref]; !seen {
					old.image = img
				}
				continue
			}
			by[key] = t
			out = append(out, t)
		}
	}
	return out
}

// workloads gives those that run the image, each once.
func (t *target) workloads() []*app.Workload {
	var out []*app.Workload
	for _, c := range t.uses {
		if !slices.Contains(out, c.Workload) {
			out = append(out, c.Workload)
		}
	}
	return out
}

func (t *target) facts(a *app.App) app.ImageFacts { return a.Seen.Images[t.image.Ref] }

// seen says whether a run showed the image and what every container of it opened.
func (t *target) seen(a *app.App) bool {
	if _, ok := a.Seen.Images[t.image.Ref]; !ok {
		return false
	}
	if t.stage == nil {
		return true
	}
	return !slices.ContainsFunc(t.uses, func(c *app.Container) bool { return inside(a, c) == nil || inside(a, c).Opened == nil })
}

// ran says whether a run showed every container of the image.
func (t *target) ran(a *app.App) bool {
	return !slices.ContainsFunc(t.uses, func(c *app.Container) bool { return inside(a, c) == nil })
}

func inside(a *app.App, c *app.Container) *app.SeenInside {
	return a.Seen.Containers[c.Workload.ID()][c.Spec.Name]
}

// bare are bases without a shell; their debug variants have one.
var (
	bare  = regexp.MustCompile(`^scratch$|distroless|(^|/)static(:|@|$)`)
	debug = regexp.MustCompile(`:[^/]*debug`)
)

// base gives the image that the target starts from; for one that comes from
// elsewhere, itself.
func (t *target) base() string {
	if t.stage == nil {
		return t.image.Ref
	}
	chain := t.file.Chain(t.stage)
	return chain[len(chain)-1].Base
}

// minimal says whether nothing is left to do: the image starts from a base
// without a shell and gets no whole file system on top, or a look into it found
// no shell.
func (t *target) minimal(a *app.App) bool {
	if facts := t.facts(a); facts.Executables > 0 && facts.Shell == "" {
		return true
	}
	if base := t.base(); !bare.MatchString(base) || debug.MatchString(base) {
		return false
	}
	return t.stage == nil || !t.filled()
}

// filled says whether a stage gets a whole file system: an archive that is
// unpacked into the root, or the root of another image or stage that is no
// collection of files.
func (t *target) filled() bool {
	for _, s := range t.file.Chain(t.stage) {
		for _, in := range s.Instructions {
			words := strings.Fields(in.Args)
			if len(words) < 2 || strings.Trim(words[len(words)-1], `"]`) != "/" {
				continue
			}
			source := strings.Trim(words[len(words)-2], `[",`)
			switch {
			case in.Name == "ADD" && archive.MatchString(source):
				return true
			case in.Name == "COPY" && strings.HasPrefix(words[0], "--from=") && (source == "/" || source == "/*"):
				return true
			}
		}
	}
	return false
}

var archive = regexp.MustCompile(`\.(tar|tgz|tar\.[a-z0-9]+)$`)
