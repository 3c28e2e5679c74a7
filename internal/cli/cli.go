// Package cli is the command line of road.
//
// Its rules:
//
//   - Data goes to stdout, all else to stderr: progress, notes, errors, hints.
//   - An error is "road: error: what is wrong", a hint "road: hint: what to do",
//     and all faults that can be known at once are told at once.
//   - Bad input is refused before anything is started.
//   - Nothing asks a question; --no-input is accepted for scripts that say so.
//   - Exit status: see Status.
//   - Names and messages from files pass through walk.Escape: a manifest must not
//     act on the terminal of who checks it. A diff is what stands in the file.
package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"road/internal/walk"

	"github.com/spf13/cobra"
)

// Main runs the command line of this process and gives its exit status. It must
// be called first in main: the process may be one that the engine started for
// itself.
func Main() int {
	engineMain()
	return Run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)
}

// Run runs one command line, args[0] being the program's name, and gives the
// exit status.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int) {
	c := &command{ctx: ctx, stdin: stdin, stdout: stdout, stderr: stderr, now: time.Now}
	defer func() {
		if r := recover(); r != nil {
			status = c.crashed(r, debug.Stack())
		}
	}()
	root := c.root(programName(args[0]))
	root.SetArgs(args[1:])
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err != nil && !c.begun {
		err = usage(err, cmp.Or(hintOf(err), fmt.Sprintf("see %s --help", cmd.CommandPath())))
	}
	return c.report(err)
}

// crashed says that road itself is at fault, and where: a panic must not look
// like bad input, whose exit status it would have.
func (c *command) crashed(what any, stack []byte) int {
	complain(c.stderr, "error", fmt.Sprintf("a defect of road: %v", what))
	complain(c.stderr, "hint", "your files are not to blame; please report it with these lines and "+buildVersion())
	fmt.Fprintln(c.stderr, walk.Escape(strings.TrimSpace(string(stack))))
	return int(HostFault)
}

// programName is "kubectl road" where kubectl calls the program as its plugin.
func programName(arg0 string) string {
	if strings.HasPrefix(filepath.Base(arg0), "kubectl-") {
		return "kubectl road"
	}
	return "road"
}

// A command is one run of the command line, with the options that all commands
// share.
type command struct {
	ctx            context.Context
	stdin          io.Reader
	stdout, stderr io.Writer
	now            func() time.Time
	begun          bool   // the arguments were understood; errors are no longer about usage
	name           string // of the subcommand
	quiet          bool
	noInput        bool
}

const long = `road hardens a containerized application one step at a time and proves every
step: it shows the diff, runs the real attack before and after in a real
container, and checks that the application still works.`

func (c *command) root(name string) *cobra.Command {
	root := &cobra.Command{
		Use:   "road",
		Short: "Harden a containerized application one step at a time, and prove every step",
		Long:  long,
		Example: `  road walk                 walk the built-in demo from 1.0 to the end of the road
  road walk .               walk the application in this folder, on a copy
  road check .              where on the road does it stand
  helm template --no-hooks x | road check -
  road up --at 1            run the demo by hand as it was first released`,
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: name},
		Version:       thisBuild().String(),
		Args:          noSuch,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			c.begun, c.name = true, cmd.Name()
		},
	}
	root.PersistentFlags().BoolVarP(&c.quiet, "quiet", "q", false, "no progress and no notes on stderr")
	root.PersistentFlags().BoolVar(&c.noInput, "no-input", false, "never ask (road never does)")
	root.SetVersionTemplate("road {{.Version}}\n")
	root.AddGroup(&cobra.Group{ID: "run", Title: "Prove in a sandbox:"}, &cobra.Group{ID: "read", Title: "Only read files:"})
	for _, sub := range []*cobra.Command{c.walk(), c.attack(), c.learn(), c.up(), c.down(), c.prune(), c.doctor()} {
		sub.GroupID = "run"
		root.AddCommand(sub)
	}
	for _, sub := range []*cobra.Command{c.check(), c.fix(), c.init(), c.explain()} {
		sub.GroupID = "read"
		root.AddCommand(sub)
	}
	root.AddCommand(c.version())
	root.InitDefaultCompletionCmd()
	shells(root)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveDefault)
	return root
}

// noSuch refuses a command that there is not, and says which was meant.
func noSuch(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	root.SuggestionsMinimumDistance = 2 // letters that are wrong
	hint := ""
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("did you mean %s?", strings.Join(near, " or "))
	}
	return usage(fmt.Errorf("unknown command %q for %q", args[0], root.CommandPath()), hint)
}

// shells has the command that writes completions refuse a shell that it does not
// know, instead of showing its help.
func shells(root *cobra.Command) {
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		var known []string
		for _, s := range c.Commands() {
			known = append(known, s.Name())
		}
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(fmt.Errorf("no completion for the shell %q", args[0]), "there is one for "+strings.Join(known, ", "))
			}
			return c.Help()
		}
	}
}

// say writes one line to stderr unless -q was given.
func (c *command) say(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintln(c.stderr, walk.Escape(fmt.Sprintf(format, args...)))
	}
}
