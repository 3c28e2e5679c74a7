// Package check asks the steps of the road what an application lacks, and tells
// what counts from what is known or excepted. It runs nothing.
//
// A finding counts unless an exception of the owner's covers it that has not
// ended, or a baseline knows it: an earlier check, whose findings are no news.
package check

import (
	"slices"
	"time"

	"road/internal/app"
	"road/internal/step"
)

// Schema names the form of a Report in JSON. It changes when a field changes its
// meaning; new fields do not change it.
const Schema = "road/check/v1"

// A Report is what a check found. Every output is a view of it.
type Report struct {
	Schema    string    `json:"schema"`
	App       string    `json:"app"`
	Findings  []Finding `json:"findings"`           // those that count
	Known     []Finding `json:"known,omitempty"`    // those that the baseline knows
	Excepted  []Finding `json:"excepted,omitempty"` // those that an exception covers, or that the target does not bear
	Gone      []Entry   `json:"gone,omitempty"`     // what the baseline knows and is not found any more
	Unused    []Except  `json:"unused,omitempty"`   // exceptions that cover nothing
	Workloads []State   `json:"workloads"`
	Problems  []Problem `json:"problems"`
	Notes     []Problem `json:"notes"` // what leads nowhere, or stands twice; nothing counts for it

	steps    []*step.Step // those that were asked
	baseline bool         // there was one
}

// A Finding is a step.Finding in a report.
type Finding struct {
	Stop        int     `json:"stop"`
	Step        string  `json:"step"`
	File        string  `json:"file"`
	Line        int     `json:"line"`
	Column      int     `json:"column,omitempty"`
	Workload    string  `json:"workload,omitempty"`
	Container   string  `json:"container,omitempty"`
	Message     string  `json:"message"`
	Hint        string  `json:"hint,omitempty"`
	NeedsRun    bool    `json:"needsRun,omitempty"`
	Fingerprint string  `json:"fingerprint"` // the same as long as the finding is; see fingerprint
	Exception   *Except `json:"exception,omitempty"`
	Unborne     string  `json:"unborne,omitempty"` // why the target's clusters do not bear its step

	known bool // the baseline knows it
}

// Pos is where the finding is.
func (f *Finding) Pos() app.Pos { return app.Pos{File: f.File, Line: f.Line, Column: f.Column} }

// Text is the message, and that an exception has ended where one has.
func (f *Finding) Text() string {
	if f.Exception != nil && f.Exception.Ended {
		return f.Message + "; its exception ended on " + f.Exception.Until + ": " + f.Exception.Reason
	}
	return f.Message
}

// An Except is an exception in a report.
type Except struct {
	Step      string `json:"step"`
	Workload  string `json:"workload"`
	Container string `json:"container,omitempty"`
	Until     string `json:"until"` // the last day: "2027-01-31"
	Reason    string `json:"reason"`
	Ended     bool   `json:"ended,omitempty"`
	InSource  bool   `json:"inSource,omitempty"` // an annotation, not an item of road.yaml
	File      string `json:"file"`
	Line      int    `json:"line"`
}

// A State says where on the road a workload is.
type State struct {
	Name     string   `json:"name"`
	Stop     int      `json:"stop"`    // every step up to here is there
	Missing  []string `json:"missing"` // names of the steps that are not
	Excepted []string `json:"excepted,omitempty"`
}

// A Problem is a file, or a place in it, that could not be used.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Unread  bool   `json:"unread,omitempty"` // the file, or the object there, was not looked at
}

// Options say what to check with. The zero value of all but Steps serves.
type Options struct {
	Steps    []*step.Step                     // the whole road in order: the first leads to stop 2
	Chosen   func(stop int, name string) bool // nil takes every step
	Baseline *Baseline
	Now      time.Time // when the exceptions are judged
	OneFile  bool      // the application is one file: what it leads to may stand in another
}

// Run asks every chosen step. The error is for exceptions that are wrong.
func Run(a *app.App, o Options) (*Report, error) {
	exceptions, err := a.Exceptions()
	if err != nil {
		return nil, err
	}
	r := &Report{Schema: Schema, App: a.Name, Findings: []Finding{}, Workloads: []State{}, Problems: Passed(a), Notes: Notes(a, o.OneFile, app.Pos.String), baseline: o.Baseline != nil}
	c := &checker{Report: r, app: a, options: o, exceptions: exceptions, used: map[*app.Exception]bool{},
		missing: map[string][]string{}, excepted: map[string][]string{}}
	asked := map[string]bool{}
	for i, s := range o.Steps {
		if o.Chosen == nil || o.Chosen(i+2, s.Name) {
			asked[s.Name] = true
			r.steps = append(r.steps, s)
			c.ask(i+2, s)
		}
	}
	if o.Baseline != nil {
		r.compare(o.Baseline, a, asked)
	}
	for _, x := range exceptions {
		if asked[x.Step] && !c.used[x] {
			r.Unused = append(r.Unused, c.except(x))
		}
	}
	for _, w := range a.Workloads {
		r.Workloads = append(r.Workloads, c.state(w.ID()))
	}
	return r, nil
}

// A checker is one check that is being made.
type checker struct {
	*Report
	app               *app.App
	options           Options
	exceptions        []*app.Exception
	used              map[*app.Exception]bool
	missing, excepted map[string][]string // names of steps, by workload
}

// ask takes the findings of one step.
func (c *checker) ask(stop int, s *step.Step) {
	findings := s.Check(c.app)
	step.Sort(findings)
	for _, f := range findings {
		out := Finding{Stop: stop, Step: s.Name, File: f.File, Line: f.Line, Column: f.Column, Workload: f.Workload,
			Container: f.Container, Message: f.Message, Hint: f.Hint, NeedsRun: f.NeedsRun, Fingerprint: fingerprint(s.Name, f)}
		list, names := &c.Findings, c.missing
		if out.Unborne = step.Unborne(s, c.app, f.Workload); out.Unborne != "" {
			list, names = &c.Excepted, c.excepted
		} else if x := step.Excepted(c.exceptions, s, c.app, f, c.options.Now); x != nil {
			c.used[x] = true
			e := c.except(x)
			out.Exception = &e
			if !e.Ended {
				list, names = &c.Excepted, c.excepted
			}
		}
		*list = append(*list, out)
		if n := names[f.Workload]; !slices.Contains(n, s.Name) {
			names[f.Workload] = append(n, s.Name)
		}
	}
}

func (c *checker) except(x *app.Exception) Except {
	return Except{x.Step, x.Workload, x.Container, x.Day(), x.Reason, x.Ended(c.options.Now), x.Annotated, x.File, x.Line}
}

// state says where a workload is: before the first step that is missing, be it
// known or excepted.
func (c *checker) state(id string) State {
	st := State{Name: id, Stop: 1, Missing: c.missing[id], Excepted: c.excepted[id]}
	for i, s := range c.options.Steps {
		if !slices.Contains(c.steps, s) || slices.Contains(st.Missing, s.Name) || slices.Contains(st.Excepted, s.Name) {
			break
		}
		st.Stop = i + 2
	}
	if st.Missing == nil {
		st.Missing = []string{}
	}
	return st
}
