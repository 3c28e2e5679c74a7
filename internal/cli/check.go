package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/check"
	"road/internal/edit"
	"road/internal/step"

	"github.com/spf13/cobra"
)

// A checking is one run of check, as the command line asks for it.
type checking struct {
	*command
	output             string
	baseline, writeNew string
	verbose            bool
	grants             openshiftFlag
}

func (c *command) check() *cobra.Command {
	k := &checking{command: c}
	s := &selection{}
	cmd := &cobra.Command{
		Use:   "check [PATH | -]",
		Short: "Say where on the road an application is, and what is missing",
		Long: `check reads manifests and Dockerfiles in a folder, one file, or manifests on
standard input, and writes file:line: message (hint) for everything that a step
of the road would change. It runs nothing and writes no file but the one of
--write-baseline. In a folder, files that do not parse are named on stderr and
passed by, and the last line counts them; as PATH such a file is bad input. A key
that stands twice and a field that Kubernetes has not are named too, and the rest
of their file is checked.

With --baseline FILE only what is new counts: FILE is what --write-baseline or
-o json wrote of an earlier check. Lines may move and files be renamed since.
What an exception covers, in road.yaml or in an annotation
(road/except.STEP: "2027-01-31 why"), does not count until its day is over.

Exit status: 0 nothing found that counts, 1 findings, 2 bad input.`,
		Example: `  road check .
  road check --write-baseline road-baseline.json .
  road check --baseline road-baseline.json -o sarif . > road.sarif
  helm template --no-hooks mychart | road check -`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			write, known := check.Formats[k.output]
			var err error
			if !known {
				err = usage(fmt.Errorf("unknown output %q: want one of %s", k.output, strings.Join(check.Names(), ", ")), "")
			}
			b, err1 := readBaseline(k.baseline)
			ch, err2 := s.resolve()
			src, err3 := c.read(args)
			if err := errors.Join(err, err1, err2, err3, savable("write-baseline", k.writeNew)); err != nil {
				return err
			}
			return k.run(src, ch, b, write)
		},
	}
	cmd.Flags().StringVarP(&k.output, "output", "o", "text", "what to write to stdout: "+strings.Join(check.Names(), ", "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(check.Names(), cobra.ShellCompDirectiveNoFileComp))
	cmd.Flags().StringVar(&k.baseline, "baseline", "", "let only count what this file of an earlier check does not know")
	cmd.Flags().StringVar(&k.writeNew, "write-baseline", "", "write what is found to this file, and exit with 0")
	for _, name := range []string{"baseline", "write-baseline"} {
		_ = cmd.MarkFlagFilename(name, "json")
	}
	k.grants.flags(cmd)
	cmd.Flags().BoolVarP(&k.verbose, "verbose", "v", false, "show what is known, excepted or gone, too")
	s.flags(cmd)
	return cmd
}

// run checks and tells.
func (k *checking) run(src *source, ch chosen, b *check.Baseline, write check.Format) error {
	k.grants.apply(&src.app.Config.Target)
	rep, err := check.Run(src.app, check.Options{Steps: road(), Chosen: ch.within, Baseline: b, Now: k.now(), OneFile: src.oneFile()})
	if err != nil {
		return src.placed(err)
	}
	k.passedBy(src)
	if len(src.app.Workloads) == 0 {
		return usage(fmt.Errorf("no Kubernetes workload found in %s", src.path), "give the folder that holds the manifests")
	}
	if k.writeNew != "" {
		return k.keepBaseline(rep)
	}
	if err := write(k.stdout, rep, check.View{Place: src.place, Baseline: k.baseline, Version: buildVersion(), Verbose: k.verbose}); err != nil {
		return err
	}
	if len(rep.Findings) > 0 {
		return found
	}
	return nil
}

// readBaseline reads the file of --baseline; no name gives none.
func readBaseline(name string) (*check.Baseline, error) {
	if name == "" {
		return nil, nil
	}
	const hint = "road check --write-baseline FILE makes one"
	f, err := os.Open(name)
	if err != nil {
		return nil, usage(err, hint)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxInput))
	if err != nil {
		return nil, usage(err, hint)
	}
	b, err := check.ReadBaseline(content)
	if err != nil {
		return nil, usage(fmt.Errorf("%s:%w", name, err), hint)
	}
	return b, nil
}

// keepBaseline writes what was found to the file of --write-baseline, whole or not
// at all.
func (k *checking) keepBaseline(rep *check.Report) error {
	b := check.NewBaseline(rep)
	content, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	if err := writeFiles(filepath.Dir(k.writeNew), edit.Files{filepath.Base(k.writeNew): append(content, '\n')}); err != nil {
		return err
	}
	k.say("road: %s knows %d findings now; road check --baseline %[1]s tells of others", k.writeNew, len(b.Findings))
	return nil
}

// passedBy names the files that could not be used, what is wrong in those that
// were read all the same, and what in them leads nowhere.
func (c *command) passedBy(s *source) {
	for _, p := range s.app.Problems {
		how := ""
		if p.Unread {
			how = "passed by "
		}
		c.say("road: %s%s", how, s.problem(p))
	}
	for _, n := range check.Notes(s.app, s.oneFile(), s.place) {
		c.say("road: %s: %s", s.place(app.Pos{File: n.File, Line: n.Line}), step.WithHint(n.Message, n.Hint))
	}
}

// unread sums up what passedBy named, where it would be forgotten.
func (c *command) unread(s *source) {
	if text := check.Unread(check.Passed(s.app), s.place); text != "" {
		c.say("road: %s", text)
	}
}

// within says whether a stop is chosen.
func (ch *chosen) within(stop int, name string) bool {
	return (ch.to == 0 || stop <= ch.to) && (len(ch.only) == 0 || slices.Contains(ch.only, name)) && !slices.Contains(ch.skip, name)
}
