package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"
	"road/internal/walk"

	"github.com/spf13/cobra"
)

// checkSchema names the form of check's JSON.
const checkSchema = "road/check/v1"

// A checkReport is what check found.
type checkReport struct {
	Schema    string         `json:"schema"`
	App       string         `json:"app"`
	Findings  []checkFinding `json:"findings"`
	Workloads []checkState   `json:"workloads"`
	Problems  []checkProblem `json:"problems"`
}

type checkFinding struct {
	Stop      int    `json:"stop"`
	Step      string `json:"step"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column,omitempty"`
	Workload  string `json:"workload,omitempty"`
	Container string `json:"container,omitempty"`
	Message   string `json:"message"`
	Hint      string `json:"hint,omitempty"`
	NeedsRun  bool   `json:"needsRun,omitempty"`
}

// A checkState says where on the road a workload is.
type checkState struct {
	Name    string   `json:"name"`
	Stop    int      `json:"stop"`    // every step up to here is there
	Missing []string `json:"missing"` // names of the steps that are not
}

type checkProblem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

func (c *command) check() *cobra.Command {
	var output string
	s := &selection{}
	cmd := &cobra.Command{
		Use:   "check [PATH | -]",
		Short: "Say where on the road an application is, and what is missing",
		Long: `check reads manifests and Dockerfiles in a folder, one file, or manifests on
standard input, and writes file:line: message (hint) for everything that a step
of the road would change. It runs nothing and writes no file. Files that do not
parse are named on stderr and passed by.

Exit status: 0 nothing found, 1 findings, 2 bad input.`,
		Example: `  road check .
  helm template mychart | road check -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			write, err := checkFormat(output)
			ch, err2 := s.resolve()
			src, err3 := c.read(args)
			if err := errors.Join(err, err2, err3); err != nil {
				return err
			}
			rep := checkApp(src.app, ch)
			c.passedBy(src)
			if err := write(c.stdout, src, rep); err != nil {
				return err
			}
			if len(src.app.Workloads) == 0 {
				return usage(fmt.Errorf("no Kubernetes workload found in %s", src.path), "give the folder that holds the manifests")
			}
			if len(rep.Findings) > 0 {
				return found
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "what to write to stdout: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	s.flags(cmd)
	return cmd
}

func checkFormat(name string) (func(io.Writer, *source, *checkReport) error, error) {
	switch name {
	case "text":
		return checkText, nil
	case "json":
		return checkJSON, nil
	}
	return nil, usage(fmt.Errorf("unknown output %q: want one of json, text", name), "")
}

// passedBy names the files that could not be used.
func (c *command) passedBy(s *source) {
	for _, p := range s.app.Problems {
		c.say("road: passed by %s", s.problem(p))
	}
	for _, d := range untied(s.app) {
		c.say("road: %s builds no image that a manifest names (say which in road.yaml: images)", s.place(app.Pos{File: d.File}))
	}
}

// untied gives the Dockerfiles that no image is built from, so that nobody takes
// silence about them for praise.
func untied(a *app.App) []*app.Dockerfile {
	var out []*app.Dockerfile
	for _, d := range a.Dockerfiles {
		if !slices.ContainsFunc(a.Images, func(i *app.Image) bool { return i.Build != nil && i.Build.Dockerfile.File == d.File }) {
			out = append(out, d)
		}
	}
	return out
}

// within says whether a stop is chosen.
func (ch *chosen) within(stop int, name string) bool {
	return (ch.to == 0 || stop <= ch.to) && (len(ch.only) == 0 || slices.Contains(ch.only, name)) && !slices.Contains(ch.skip, name)
}

// checkApp asks every chosen step.
func checkApp(a *app.App, ch chosen) *checkReport {
	rep := &checkReport{Schema: checkSchema, App: a.Name, Findings: []checkFinding{}, Workloads: []checkState{}, Problems: []checkProblem{}}
	missing := map[string][]string{} // by workload
	for i, s := range road() {
		if !ch.within(i+2, s.Name) {
			continue
		}
		findings := s.Check(a)
		step.Sort(findings)
		for _, f := range findings {
			rep.Findings = append(rep.Findings, checkFinding{i + 2, s.Name, f.File, f.Line, f.Column, f.Workload, f.Container, f.Message, f.Hint, f.NeedsRun})
			if m := missing[f.Workload]; len(m) == 0 || m[len(m)-1] != s.Name {
				missing[f.Workload] = append(m, s.Name)
			}
		}
	}
	for _, w := range a.Workloads {
		st := checkState{Name: w.ID(), Stop: 1, Missing: missing[w.ID()]}
		for i, s := range road() {
			if !ch.within(i+2, s.Name) || slices.Contains(st.Missing, s.Name) {
				break
			}
			st.Stop = i + 2
		}
		if st.Missing == nil {
			st.Missing = []string{}
		}
		rep.Workloads = append(rep.Workloads, st)
	}
	for _, p := range a.Problems {
		rep.Problems = append(rep.Problems, checkProblem{p.File, p.Line, p.Message, p.Hint})
	}
	return rep
}

// checkText writes one line per finding, for editors and for people, then where
// each workload is.
func checkText(w io.Writer, s *source, r *checkReport) error {
	b := bufio.NewWriter(w)
	for _, f := range r.Findings {
		pos := app.Pos{File: f.File, Line: f.Line}
		fmt.Fprintln(b, walk.Escape(withHint(s.place(pos)+": "+f.Message, f.Hint)))
	}
	if len(r.Findings) > 0 && len(r.Workloads) > 0 {
		fmt.Fprintln(b)
	}
	for _, state := range r.Workloads {
		line := fmt.Sprintf("%s is at %d.0", state.Name, state.Stop)
		if len(state.Missing) > 0 {
			line += "; missing: " + strings.Join(state.Missing, ", ")
		}
		fmt.Fprintln(b, walk.Escape(line))
	}
	return b.Flush()
}

func checkJSON(w io.Writer, _ *source, r *checkReport) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
