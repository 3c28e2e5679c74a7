package minimalimage

import (
	"bytes"
	"maps"
	"strconv"
	"strings"

	"road/internal/app"
)

// otherBase is what a minimal image without a stage to copy from gets beneath it.
const otherBase = "debian:trixie-slim"

// weaken puts what the images are built in beneath them, in memory: they hold
// the same application, with everything else beside it.
func weaken(a *app.App) {
	seen := *a.Seen // others share it
	seen.Images = maps.Clone(a.Seen.Images)
	a.Seen = &seen
	done := map[*app.Stage]bool{}
	for _, t := range targets(a) {
		delete(seen.Images, t.image.Ref)
		if t.stage == nil || done[t.stage] || !bare.MatchString(t.base()) {
			continue
		}
		done[t.stage] = true
		t.fatten()
	}
}

// fatten has the stage start from the one that it copies its files from. Copies
// that then change nothing go: the same file from the same place.
func (t *target) fatten() {
	chain := t.file.Chain(t.stage)
	bottom := chain[len(chain)-1]
	base := t.donor()
	lines := bytes.SplitAfter(t.file.Content, []byte("\n"))
	name := otherBase
	if base != nil {
		name = base.Name
	}
	from := string(lines[bottom.Line-1])
	for n := bottom.Line; n < bottom.EndLine && n < len(lines) && continues(from); n++ { // a FROM over several lines
		from += string(lines[n])
		lines[n] = nil
	}
	lines[bottom.Line-1] = []byte("FROM " + name + as(bottom.Name) + "\n")
	for _, s := range chain {
		for _, in := range s.Instructions {
			if base != nil && in.Name == "COPY" && t.copiesItself(in, base) {
				for n := in.Line; n <= in.EndLine; n++ {
					lines[n-1] = []byte("\n")
				}
			}
		}
	}
	d, err := app.ParseDockerfile(t.file.File, bytes.Join(lines, nil))
	if err == nil {
		*t.file = *d
	}
}

func continues(line string) bool {
	l := strings.TrimRight(line, " \t\r\n")
	return strings.HasSuffix(l, `\`) || strings.HasSuffix(l, "`")
}

func as(name string) string {
	if name == "" {
		return ""
	}
	return " AS " + name
}

// donor gives the stage of the same file that holds what the target copies: where
// its last copy comes from, or, where that is a collection which this step made,
// what it was collected from. It is nil where there is none with a name.
func (t *target) donor() *app.Stage {
	for _, s := range t.file.Chain(t.stage) {
		for i := len(s.Instructions) - 1; i >= 0; i-- {
			from := t.copiedFrom(s.Instructions[i])
			if from != nil && collects(s.Instructions[i]) {
				if chain := t.file.Chain(from); len(chain) > 1 {
					from = chain[1]
				}
			}
			if from != nil && from.Name != "" {
				return from
			}
		}
	}
	return nil
}

// collects says whether a COPY brings the collection that fix makes.
func collects(in app.Instruction) bool {
	words := strings.Fields(in.Args)
	return len(words) > 2 && words[len(words)-2] == collection
}

// copiedFrom gives the stage of the same file that a COPY takes from, nil for
// none.
func (t *target) copiedFrom(in app.Instruction) *app.Stage {
	if in.Name != "COPY" {
		return nil
	}
	for _, w := range strings.Fields(in.Args) {
		if name, ok := strings.CutPrefix(w, "--from="); ok {
			for _, s := range t.file.Stages {
				if s.Name != "" && strings.EqualFold(s.Name, name) {
					return s
				}
			}
			if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(t.file.Stages) {
				return t.file.Stages[n]
			}
		}
	}
	return nil
}

// copiesItself says whether a COPY brings what base has in the same place.
func (t *target) copiesItself(in app.Instruction, base *app.Stage) bool {
	from, words := t.copiedFrom(in), strings.Fields(in.Args)
	if from == nil || len(words) < 3 {
		return false
	}
	return collects(in) || from == base && words[len(words)-1] == words[len(words)-2]
}
