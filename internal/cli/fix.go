package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/lift"
	"road/internal/render"
	"road/internal/step"
	"road/internal/walk"

	"github.com/spf13/cobra"
)

// A fixer collects what all chosen steps change, without running anything.
type fixer struct {
	*command
	source  *source
	app     *app.App   // with the edits so far, in memory
	files   edit.Files // as they are now, edits included
	changed edit.Files // those that differ from what is on disk
	left    []leftover // what was not fixed
	notes   []string   // what the fixes do to others

	original edit.Files // as they are on disk
	lines    mover
	filter   filterChoice

	exceptions []*app.Exception
	excepted   []leftover // what was not fixed because its owner does not want it
}

func (c *command) fix() *cobra.Command {
	var write bool
	var seen string
	var filter filterChoice
	var grants openshiftFlag
	s := &selection{}
	cmd := &cobra.Command{
		Use:   "fix [PATH]",
		Short: "Show or write the fixes that need no run, or that a saved run backs",
		Long: `fix writes the fixes of the road that need no run to stdout as a unified diff,
for git apply or patch -p1 in the current folder; -w writes them into the files.
With --seen, what road learn --save kept of a run, it also writes what only a run
can tell: a read-only root with its volumes, limits, network policies, dropped
capabilities of root. Nothing is run: road walk proves that the
application still works. A workload gets all of a step's changes or none.

Exit status: without -w 1 if there is a diff, else 0; with -w 0, or 1 if
something was left; 2 bad input.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == stdinName {
				return usage(errors.New("standard input cannot be fixed"), "give the folder that the manifests come from")
			}
			ch, err := s.resolve()
			src, err2 := c.read(args)
			if err := errors.Join(err, err2, filter.validate(), grants.fits(filter)); err != nil {
				return err
			}
			saved, err := readSeen(seen, src.app)
			if err != nil {
				return err
			}
			if filter == "localhost" && seen == "" {
				return usage(errors.New("--seccomp localhost needs a run"), "give what road learn --save kept, with --seen, or use road walk")
			}
			for _, c := range filter.choices() {
				src.app.Config.Choose(c.Step, c.Key, c.Value)
			}
			grants.apply(&src.app.Config.Target)
			ch.filter = filter
			return c.fixAll(src, ch, saved, write)
		},
	}
	cmd.Flags().BoolVarP(&write, "write", "w", false, "write the files instead of showing the diff")
	cmd.Flags().StringVar(&seen, "seen", "", "what a run showed, saved by road learn --save")
	_ = cmd.MarkFlagFilename("seen", "json")
	filter.flags(cmd)
	grants.flags(cmd)
	s.flags(cmd)
	return cmd
}

// readSeen reads what a run of a showed; no name gives nothing.
func readSeen(name string, a *app.App) (*app.Seen, error) {
	if name == "" {
		return &app.Seen{}, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, usage(err, "road learn --save FILE makes such a file")
	}
	defer f.Close()
	rec := &app.Record{}
	d := json.NewDecoder(io.LimitReader(f, maxInput))
	if err := d.Decode(rec); err != nil {
		return nil, usage(fmt.Errorf("%s: %w", name, err), "--seen takes what road learn --save kept of a run")
	}
	if err := rec.Fits(a); err != nil {
		return nil, usage(fmt.Errorf("%s: %w", name, err), "run road learn --save again")
	}
	if rec.Seen == nil {
		rec.Seen = &app.Seen{}
	}
	return rec.Seen, nil
}

func (c *command) fixAll(src *source, ch chosen, seen *app.Seen, write bool) error {
	c.passedBy(src)
	if len(src.app.Workloads) == 0 {
		return usage(fmt.Errorf("no Kubernetes workload found in %s", src.path), "give the folder that holds the manifests")
	}
	original := edit.Files(src.app.Files())
	f := &fixer{original: original, lines: mover{}, command: c, source: src, app: src.app, files: edit.Files(src.app.Files()), changed: edit.Files{}, filter: ch.filter}
	f.app.Seen = seen
	var err error
	if f.exceptions, err = f.app.Exceptions(); err != nil {
		return src.placed(err)
	}
	for i, s := range road() {
		if !ch.within(i+2, s.Name) {
			continue
		}
		if err := f.step(s); err != nil {
			return err
		}
	}
	for _, x := range f.excepted {
		c.say("road: excepted: %s: %s", src.place(f.written(x.pos, write)), x.text)
	}
	if len(f.changed) == 0 && len(f.left) == 0 {
		c.say("road: nothing to fix")
		c.unread(src)
		return nil
	}
	if err := f.output(src, original, write); err != nil {
		return err
	}
	said := map[string]bool{}
	for _, l := range f.left {
		text := fmt.Sprintf("road: left: %s: %s", src.place(f.written(l.pos, write)), l.text)
		if !said[text] { // of an image, once for all workloads that use it
			c.say("%s", text)
		}
		said[text] = true
	}
	for _, n := range f.notes {
		c.say("road: note: %s", n)
	}
	c.unread(src)
	c.postRender(src, f.changed)
	if len(f.changed) > 0 {
		c.say("road: nothing was run; road walk proves that the application still works")
	}
	if write && len(f.left) > 0 || !write && len(f.changed) > 0 {
		return found
	}
	return nil
}

// postRender says how to use what changes a chart beside its values.
func (c *command) postRender(s *source, changed edit.Files) {
	if s.app == nil || s.app.Rendered == nil || !s.app.Rendered.Source.Chart {
		return
	}
	r := s.app.Rendered
	now := maps.Clone(s.app.Files())
	maps.Copy(now, changed)
	name := app.ChartName(now[path.Join(r.Source.Dir, "Chart.yaml")])
	for _, file := range render.Apart(render.NewTree(now, nil), r.Source) {
		if _, made := changed[file]; made {
			c.say("road: hint: Helm cannot own the namespace of a release, so before helm install: kubectl apply -f %s", s.place(app.Pos{File: file}))
		}
	}
	run := path.Join(r.Source.Post(), "run")
	if _, made := changed[run]; made {
		there := lift.Named(r.Source, name)
		there.Dir, there.Values = s.place(app.Pos{File: r.Source.Dir}), nil
		for _, file := range r.Source.Values {
			there.Values = append(there.Values, s.place(app.Pos{File: file}))
		}
		c.say("road: hint: what the values of chart %s cannot say is in %s", name, s.place(app.Pos{File: r.Source.Post()}))
		c.say("road: hint: with Helm 4: %s", lift.HelmInstall(there, lift.PluginName(name)))
		c.say("road: hint: with Helm 3: %s", lift.HelmInstall(there, s.place(app.Pos{File: run})))
	}
}

// step applies one step in memory, so that the next sees its edits.
func (f *fixer) step(s *step.Step) error {
	edits, err := step.Plan(s, f.app)
	if err != nil {
		return &fault{BadInput, err, ""}
	}
	leftOut := step.Spared(f.exceptions, s, f.app, f.now())
	edits = step.Remaining(f.app, edits, leftOut)
	along := maps.Clone(leftOut) // before what files refuse, which is said of the file
	after, refused := step.Apply(f.app, f.files, edits, leftOut)
	for _, r := range refused {
		f.left = append(f.left, leftover{f.onDisk(r.Pos), step.WithHint(r.Message, r.Hint)})
	}
	for name, content := range after {
		if was, old := f.files[name]; !old || string(was) != string(content) {
			f.files[name], f.changed[name] = content, content
		}
	}
	for _, e := range step.Remaining(f.app, edits, leftOut) {
		if e.Note != "" {
			f.notes = append(f.notes, e.Note)
		}
	}
	a, err := f.app.Reload(f.files)
	if err != nil {
		return fmt.Errorf("the fix of %s does not load: %w", s.Name, err)
	}
	a.Seen, a.Names = f.app.Seen, f.app.Names
	a.Config.Target = f.app.Config.Target
	f.forget(a)
	for _, c := range f.filter.choices() {
		a.Config.Choose(c.Step, c.Key, c.Value)
	}
	f.app = a
	for _, finding := range s.Check(a) {
		if why := step.Unborne(s, a, finding.Workload); why != "" {
			f.excepted = append(f.excepted, leftover{f.onDisk(finding.Pos), finding.Message + ": " + why})
			continue
		}
		x := step.Excepted(f.exceptions, s, a, finding, f.now())
		if x != nil && !x.Ended(f.now()) {
			f.excepted = append(f.excepted, leftover{f.onDisk(finding.Pos), finding.Message + ": " + x.String()})
			continue
		}
		what := finding.Message
		if why := step.Why(a, finding, along); why != "" {
			what += ": " + why
		} else if finding.NeedsRun {
			what += " (only a run can tell what to write: road walk)"
		} else {
			what = step.WithHint(what, finding.Hint)
		}
		if x != nil {
			what += fmt.Sprintf("; its exception ended on %s: %s", x.Day(), x.Reason)
		}
		f.left = append(f.left, leftover{f.onDisk(finding.Pos), what})
	}
	return nil
}

// below gives the way from the current folder down to the application, "." for
// none; "" where it does not lie below it.
func (s *source) below() string {
	here, err := os.Getwd()
	if err == nil {
		here, err = filepath.EvalSymlinks(here)
	}
	root, err2 := filepath.EvalSymlinks(s.app.Root)
	if err != nil || err2 != nil {
		return ""
	}
	if rel, err := filepath.Rel(here, root); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel)
	}
	return ""
}

// under puts a folder in front of every name.
func under(dir string, files edit.Files) edit.Files {
	out := edit.Files{}
	for name, content := range files {
		out[path.Join(dir, name)] = content
	}
	return out
}

// forget drops what was seen of images whose Dockerfiles have changed since: that
// was another image, which ran as another user perhaps.
func (f *fixer) forget(a *app.App) {
	for _, i := range a.Images {
		if i.Build == nil {
			continue
		}
		if _, changed := f.changed[i.Build.Dockerfile.File]; changed {
			delete(a.Seen.Images, i.Ref)
		}
	}
}

// unmade refuses new files, those that before lacks, where something lies: it was
// made meanwhile, or a link leads to it.
func unmade(src *source, before, after edit.Files) error {
	var errs []error
	for _, name := range sorted(after) {
		if _, old := before[name]; old {
			continue
		}
		if _, err := os.Lstat(filepath.Join(src.app.Root, filepath.FromSlash(name))); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, usage(fmt.Errorf("%s is there already and is to be made: nothing was written", src.place(app.Pos{File: name})),
				"give what lies there another name"))
		}
	}
	return errors.Join(errs...)
}

func (f *fixer) output(src *source, original edit.Files, write bool) error {
	before := edit.Files{}
	for name := range f.changed {
		if content, ok := original[name]; ok {
			before[name] = content
		}
	}
	if !write {
		below := f.source.below()
		if below == "" {
			f.say("road: hint: the diff is for the folder %s: git -C %[1]s apply, or patch -p1 -d %[1]s", f.source.app.Root)
		}
		_, err := io.WriteString(f.stdout, edit.Diff(under(below, before), under(below, f.changed)))
		return err
	}
	if err := unmade(src, before, f.changed); err != nil {
		return err
	}
	err := writeFiles(src.app.Root, f.changed)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("write the fixes: %w", err)
	}
	for _, name := range sorted(f.changed) {
		fmt.Fprintln(f.stdout, walk.Escape(src.place(app.Pos{File: name})))
	}
	return err
}
