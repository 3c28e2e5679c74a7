package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"road/internal/report"
	"road/internal/sandbox"
	"road/internal/walk"

	"github.com/spf13/cobra"
)

// A run is what walk, attack and up have in common.
type run struct {
	*command
	engine engineOptions
	output string
	ready  time.Duration
	strict bool
	hand   *handover // where what is done is kept: what to hand over; else nil
	filter filterChoice
	chosen chosen
	grants openshiftFlag
	source *source
	format report.Format
}

func (r *run) flags(cmd *cobra.Command) {
	r.engine.flags(cmd)
	r.grants.flags(cmd)
	cmd.Flags().StringVarP(&r.output, "output", "o", "text", "what to write to stdout: text or json")
	cmd.Flags().DurationVar(&r.ready, "ready", 120*time.Second, "how long the application may take to get ready")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// prepare understands the command line; nothing is started before it is right.
func (r *run) prepare(args []string, s *selection) error {
	var errs []error
	var err error
	if r.format, err = report.Find(r.output); err != nil {
		errs = append(errs, usage(err, ""))
	}
	if r.ready <= 0 {
		errs = append(errs, usage(fmt.Errorf("--ready %s is not a time to wait", r.ready), "the default is 2m0s"))
	}
	if err := r.engine.validate(); err != nil {
		errs = append(errs, err)
	}
	if r.chosen, err = s.resolve(); err != nil {
		errs = append(errs, err)
	}
	if err := r.filter.validate(); err != nil {
		errs = append(errs, err)
	}
	if r.source, err = r.folder(args); err != nil {
		errs = append(errs, err)
	} else {
		if r.source.app != nil {
			r.engine.target = r.source.app.Config.Target
		}
		r.grants.apply(&r.engine.target)
		errs = append(errs, r.grants.fits(r.filter))
	}
	return errors.Join(errs...)
}

// options puts together what package walk needs, inside the engine.
func (r *run) options(e sandbox.Engine, dir string) (walk.Options, error) {
	root, name, err := r.source.materialize(dir)
	below := ""
	if r.source.app != nil {
		below = r.source.app.Below
	}
	return walk.Options{Root: root, Below: below, Name: name, Dir: dir, Now: r.now(), Steps: road(), Engine: e, To: r.chosen.to, Only: r.chosen.only,
		Skip: r.chosen.skip, OpenShift: bool(r.grants), Ready: r.ready, Choices: r.filter.choices()}, err
}

func (c *command) walk() *cobra.Command {
	r := &run{command: c}
	var write, commit bool
	s := &selection{}
	cmd := &cobra.Command{
		Use:   "walk [PATH]",
		Short: "Take an application down the road, step by step, and prove each",
		Long: `walk takes an application from 1.0, or where it stands, step by step: check,
attack, fix, build, run, does it still work, attack again; then it shows every
attack at every stop. Without PATH it walks the built-in demo.

It works on a copy; the files in PATH stay as they are. --write brings what the
done steps changed back to them at the end. --commit makes one git commit for
each of these steps instead, as the repository's owner and with his hooks: what
changed, what it prevents, and the lines that show it. Both write nothing where
a file changed meanwhile; --commit refuses files with changes that are not
committed, before the walk begins.

Exit status: 0 every step is done or was there already, none of its attacks
succeeds after it (with --strict: each is blocked) and the application works; 1 a
step was left out, or an attack of a done step still succeeds (those that the
road leaves open do not count), or with --strict is unproven; 2 bad input, or an
application that does not work at 1.0; 3 the host; 130 interrupted.`,
		Example: `  road walk --to 2
  road walk --only non-root -o json . > report.json
  road walk --commit --skip limits .`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := r.prepare(args, s); err != nil {
				return err
			}
			k, err := r.keeper(write, commit)
			if err != nil {
				return err
			}
			if k != nil {
				defer k.listen()()
			}
			if write || commit {
				r.hand = &handover{}
			}
			if err = withEngine(c.ctx, r.engine, r.walk); k != nil {
				return k.bring(err)
			}
			return err
		},
	}
	r.flags(cmd)
	s.flags(cmd)
	cmd.Flags().BoolVar(&write, "write", false, "write what the done steps changed back to PATH")
	cmd.Flags().BoolVar(&commit, "commit", false, "write it, with one git commit for each done step")
	cmd.Flags().StringVar(&r.engine.registry, "registry", "", "registry to which images that are built here are pushed under their tags, to be pinned by digest")
	r.filter.flags(cmd)
	cmd.Flags().BoolVar(&r.strict, "strict", false, "an attack that is unproven after its step counts as a failure")
	return cmd
}

func (r *run) walk(ctx context.Context, e sandbox.Engine, dir string) error {
	r.source.announce(r.command, "walking")
	o, err := r.options(e, dir)
	if err != nil {
		return err
	}
	v := r.view()
	o.Events = v.event
	if r.hand != nil {
		o.Keep = func(k walk.Kept) { r.hand.Kept = append(r.hand.Kept, k) }
	}
	rep, err := walk.Walk(ctx, o)
	v.close()
	if err != nil {
		return err
	}
	if r.hand != nil {
		r.hand.Report = rep
		if n := rep.Broken(); n > 0 {
			r.hand.Kept = slices.DeleteFunc(r.hand.Kept, func(k walk.Kept) bool { return k.Number >= n })
			r.say("road: nothing is written of %d.0 and later stops, since the application does not work there", n)
		}
		return handOver(r.hand)
	}
	return r.tell(rep)
}

// tell writes the report and says what falls short.
func (r *run) tell(rep *walk.Report) error {
	if err := r.format(r.stdout, rep); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	short := rep.Shortfalls(r.strict)
	for _, why := range short {
		// The text report ends with what falls short without --strict.
		if r.output != "text" || !slices.Contains(rep.Shortfalls(false), why) {
			r.say("road: falls short: %s", why)
		}
	}
	if len(short) > 0 {
		return found
	}
	return nil
}

func (c *command) attack() *cobra.Command {
	r := &run{command: c}
	s := &selection{}
	cmd := &cobra.Command{
		Use:   "attack [PATH]",
		Short: "Run the attacks against an application as it stands",
		Long: `attack runs every attack of the road once against the application as it stands:
its blast radius. Nothing is fixed. What is blocked is compared with the same
application without that protection; where nothing compares it is unproven.

Exit status: 0 no attack succeeded, 1 one did, 2 bad input, 3 the host.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := r.prepare(args, s); err != nil {
				return err
			}
			return withEngine(c.ctx, r.engine, r.attack)
		},
	}
	r.flags(cmd)
	s.flags(cmd)
	return cmd
}

func (r *run) attack(ctx context.Context, e sandbox.Engine, dir string) error {
	r.source.announce(r.command, "attacking")
	o, err := r.options(e, dir)
	if err != nil {
		return err
	}
	v := r.view()
	o.Events = v.event
	rep, err := walk.Attack(ctx, o)
	v.close()
	if err != nil {
		return err
	}
	if err := r.format(r.stdout, rep); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	if len(rep.SucceededAt(1)) > 0 {
		return found
	}
	return nil
}
