package step

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Headings are the questions that every explain.md answers, in this order.
var Headings = []string{
	"What changes?",
	"What does this prevent?",
	"What can it break?",
	"How is it proven?",
}

var kebab = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Validate says everything that is wrong with the steps of a road, in their
// order, before any of them runs. Names of steps and of attacks are told apart
// over the whole road, because reports and the command line name them alone.
func Validate(steps []*Step) error {
	var errs []error
	names, attacks := map[string]bool{}, map[string]bool{}
	for i, s := range steps {
		if s == nil {
			errs = append(errs, fmt.Errorf("step %d: is nil", i))
			continue
		}
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("step %q: the name is taken", s.Name))
		}
		names[s.Name] = true
		for _, fault := range s.faults() {
			errs = append(errs, fmt.Errorf("step %q: %s", s.Name, fault))
		}
		for j := range s.Attacks {
			a := &s.Attacks[j]
			if attacks[a.Name] {
				errs = append(errs, fmt.Errorf("step %q: attack %q: the name is taken", s.Name, a.Name))
			}
			attacks[a.Name] = true
			for _, fault := range a.faults() {
				errs = append(errs, fmt.Errorf("step %q: attack %q: %s", s.Name, a.Name, fault))
			}
		}
	}
	return errors.Join(errs...)
}

// faults lists what is wrong with the step itself.
func (s *Step) faults() []string {
	var f []string
	if !kebab.MatchString(s.Name) {
		f = append(f, "the name is not kebab-case")
	}
	if s.Title == "" || strings.HasSuffix(s.Title, ".") || strings.Contains(s.Title, "\n") {
		f = append(f, "the title must be one line without a period")
	}
	f = append(f, headingFaults(s.Explain)...)
	if len(s.Refs) == 0 {
		f = append(f, "no Refs")
	}
	for _, r := range s.Refs {
		if r.Framework == "" || r.ID == "" {
			f = append(f, fmt.Sprintf("ref %+v lacks its framework or id", r))
		}
	}
	if s.Check == nil {
		f = append(f, "no Check")
	}
	if s.Fix == nil {
		f = append(f, "no Fix")
	}
	if s.Weaken == nil {
		f = append(f, "no Weaken")
	}
	if len(s.Attacks) == 0 {
		f = append(f, "no Attacks: what does it stop?")
	}
	return f
}

// headingFaults says which of Headings an explanation lacks or has out of order.
func headingFaults(explain string) []string {
	var found []string
	for line := range strings.Lines(explain) {
		if h, ok := strings.CutPrefix(strings.TrimSpace(line), "## "); ok {
			found = append(found, h)
		}
	}
	var f []string
	next := 0
	for _, h := range found {
		if next < len(Headings) && h == Headings[next] {
			next++
		}
	}
	for _, h := range Headings[next:] {
		f = append(f, fmt.Sprintf("explain.md lacks the heading %q, or has it out of order", "## "+h))
	}
	return f
}

// faults lists what is wrong with the attack.
func (a *Attack) faults() []string {
	var f []string
	if !kebab.MatchString(a.Name) {
		f = append(f, "the name is not kebab-case")
	}
	if a.Goal == "" || strings.Contains(a.Goal, "\n") {
		f = append(f, "the goal must be one line")
	}
	switch a.Transport {
	case Command, Request, Code, Other:
	default:
		f = append(f, fmt.Sprintf("unknown transport %q", a.Transport))
	}
	if a.Open != "" && len(strings.Fields(a.Open)) < 2 {
		f = append(f, "Open must say why the road leaves it open")
	}
	if a.Run == nil {
		f = append(f, "no Run")
	}
	return f
}
