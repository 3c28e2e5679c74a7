package app

import (
	"slices"
	"strconv"
	"strings"
)

// A Dockerfile is one Dockerfile, kept byte for byte, with its instructions as
// BuildKit's parser reads them.
type Dockerfile struct {
	File    string // slash-separated, relative to App.Root
	Content []byte
	Stages  []*Stage
}

// A Stage is one FROM and what follows it.
type Stage struct {
	Name         string        // the name behind AS, "" for none
	Base         string        // the image or stage behind FROM, ARGs filled in where they have a value
	Line         int           // line of FROM, 1-based
	EndLine      int           // last line of the stage's last instruction
	Instructions []Instruction // what stands behind FROM, in order
}

// An Instruction is one instruction with the lines that it covers,
// continuation lines and heredocs included.
type Instruction struct {
	Name    string // upper case: "RUN", "USER"
	Args    string // everything behind the name, continuation lines joined by one space; a heredoc's lines follow after a line break
	Line    int    // first line, 1-based
	EndLine int    // last line
}

// Final is the stage that makes the image: the one called target, by name in
// any case or by its number from 0, else the last. It is nil where there is no
// such stage.
func (d *Dockerfile) Final(target string) *Stage {
	if target == "" && len(d.Stages) > 0 {
		return d.Stages[len(d.Stages)-1]
	}
	for i, s := range d.Stages {
		if strings.EqualFold(s.Name, target) || strconv.Itoa(i) == target {
			return s
		}
	}
	return nil
}

// Chain gives stage and the stages of the same Dockerfile that it starts from, the
// last first. The base of the last of them comes from elsewhere.
func (d *Dockerfile) Chain(stage *Stage) []*Stage {
	var out []*Stage
	for stage != nil && !slices.Contains(out, stage) {
		out = append(out, stage)
		base := stage.Base
		stage = nil
		for _, s := range d.Stages {
			if s == out[len(out)-1] {
				break // a stage can only start from one before it
			}
			if s.Name != "" && strings.EqualFold(s.Name, base) {
				stage = s
			}
		}
	}
	return out
}

// Last finds the stage's last instruction of that name, nil if there is none.
func (s *Stage) Last(name string) *Instruction {
	for i := len(s.Instructions) - 1; i >= 0; i-- {
		if s.Instructions[i].Name == name {
			return &s.Instructions[i]
		}
	}
	return nil
}

// Before gives the stage that holds all of an image of which the last stage keeps
// a part only: where that starts from scratch and gets a collection of files for
// its root, from a stage that was made for it on top of another, that other. It is
// nil where stage is whole, or its parts come from elsewhere.
func (d *Dockerfile) Before(stage *Stage) *Stage {
	chain := d.Chain(stage)
	if len(chain) == 0 || chain[len(chain)-1].Base != "scratch" {
		return nil
	}
	for _, s := range chain {
		for _, in := range s.Instructions {
			words := strings.Fields(in.Args)
			if in.Name != "COPY" || len(words) != 3 || words[2] != "/" {
				continue
			}
			name, _ := strings.CutPrefix(words[0], "--from=")
			if whole := d.Chain(d.Final(name)); name != "" && len(whole) > 1 {
				return whole[1]
			}
		}
	}
	return nil
}
