package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"road/docs"
	"road/internal/step"

	"github.com/spf13/cobra"
)

// An explanation is a step as explain's JSON has it.
type explanation struct {
	Stop    int              `json:"stop"`
	Name    string           `json:"name"`
	Title   string           `json:"title"`
	Explain string           `json:"explain"` // Markdown
	Refs    []step.Ref       `json:"refs"`
	Attacks []explainedThing `json:"attacks"`
}

type explainedThing struct {
	Name string         `json:"name"`
	Goal string         `json:"goal"`
	By   step.Transport `json:"by"`
	Open string         `json:"open,omitempty"`
}

func (c *command) explain() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "explain [STEP]",
		Short: "Read a chapter: what a step changes, prevents and can break",
		Long: `explain shows the chapter of a step, offline, or lists the steps of the road.
STEP is a name or a number.`,
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(cmd *cobra.Command, args []string, s string) ([]string, cobra.ShellCompDirective) {
			return completeSteps(cmd, args, s)
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if output != "text" && output != "json" {
				return usage(fmt.Errorf("unknown output %q: want one of json, text", output), "")
			}
			all := explanations()
			if len(args) == 1 {
				n := find(args[0])
				if n == 1 {
					c.say("road: 1.0 is the application as it came: no step leads to it; road up --at 1 runs it, road attack attacks it")
					return c.contents(all)
				}
				if n < 2 {
					return usage(fmt.Errorf("no step is called %q", args[0]), "the steps are: "+strings.Join(numbered(), ", "))
				}
				all = all[n-2 : n-1]
			}
			if output == "json" {
				e := json.NewEncoder(c.stdout)
				e.SetEscapeHTML(false)
				e.SetIndent("", "  ")
				return e.Encode(all)
			}
			if len(args) == 1 {
				return c.chapter(all[0])
			}
			return c.contents(all)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "what to write to stdout: text or json")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func explanations() []explanation {
	out := []explanation{}
	for i, s := range road() {
		e := explanation{Stop: i + 2, Name: s.Name, Title: s.Title, Explain: s.Explain, Refs: s.Refs, Attacks: []explainedThing{}}
		for _, a := range s.Attacks {
			e.Attacks = append(e.Attacks, explainedThing{a.Name, a.Goal, a.Transport, a.Open})
		}
		out = append(out, e)
	}
	return out
}

func (c *command) contents(all []explanation) error {
	if len(all) == 0 {
		return errors.New("this build of road has no steps")
	}
	width := 0
	for _, e := range all {
		width = max(width, len(e.Name))
	}
	for _, e := range all {
		fmt.Fprintf(c.stdout, "%4s  %-*s  %s\n", fmt.Sprintf("%d.0", e.Stop), width, e.Name, e.Title)
	}
	c.say("road: hint: road explain %s", all[0].Name)
	return nil
}

// chapter writes a step's chapter: its text with what a recorded walk showed.
func (c *command) chapter(e explanation) error {
	p := newProse(c.stdout)
	p.markdown(docs.Chapter(docs.Record(), e.Stop, road()[e.Stop-2]))
	return p.flush()
}
