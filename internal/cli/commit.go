package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/lock"
	"road/internal/repo"
	"road/internal/report"
	"road/internal/step"
	"road/internal/walk"

	"golang.org/x/sys/unix"
)

// A keeper brings what a walk did back to the user's files. It works outside the
// sandbox, after the walk: there git has the user's own network, agents and hooks.
type keeper struct {
	*run
	root  string
	repo  *repo.Repo // nil: only write
	got   *handover
	wrote []string
	held  *os.File // the folder, until the process ends; nil where its file system has no locks
}

// A handover is what the walk inside gives to the keeper outside.
type handover struct {
	Report *walk.Report
	Kept   []walk.Kept
}

// keeper looks, before anything runs, for what would stand in the way at the
// end. It is nil where nothing is kept, and inside the sandbox, which hands over.
func (r *run) keeper(write, commit bool) (*keeper, error) {
	if !write && !commit {
		return nil, nil
	}
	if r.source.path == "" {
		return nil, usage(errors.New("the built-in demo is no files of yours to write to"), "give the folder of an application: road walk --write PATH")
	}
	if !outside() {
		return nil, nil
	}
	k := &keeper{run: r, root: r.source.app.Root}
	r.engine.told = func(info json.RawMessage) {
		k.got = &handover{}
		if err := json.Unmarshal(info, k.got); err != nil {
			k.got = nil
		}
	}
	// Of two walks that bring back, one would find the files changed by the other
	// after all of its work.
	var err error
	if k.held, err = hold(k.root); errors.Is(err, lock.ErrBusy) {
		return nil, usage(fmt.Errorf("another road walks %s and will write to it", r.source.path), "wait until it has ended, or leave --write and --commit out")
	}
	if err := writable(k.root, r.source.app); err != nil {
		return nil, &fault{HostFault, &os.PathError{Op: "write to", Path: r.source.path, Err: err}, "nothing of the walk could be brought back; leave --write and --commit out to walk a copy"}
	}
	if !commit {
		return k, nil
	}
	if k.repo, err = repo.Open(r.ctx, k.root); err != nil {
		return nil, repoFault(err)
	}
	must, err := mustChange(r.source.app, r.chosen, r.now())
	if err != nil {
		return nil, err
	}
	return k, repoFault(k.repo.Clean(r.ctx, must))
}

// writable fails where nothing can be written: not in the application's folder, nor
// beside one of its manifests.
func writable(root string, a *app.App) error {
	err := unix.Access(root, unix.W_OK)
	for _, o := range a.Objects {
		if err == nil || unix.Access(filepath.Join(root, filepath.Dir(filepath.FromSlash(o.File))), unix.W_OK) == nil {
			return nil
		}
	}
	return err
}

// repoFault tells what the user has to mend from what the host lacks.
func repoFault(err error) error {
	if errors.Is(err, repo.ErrNoGit) {
		return &fault{HostFault, err, "apt-get install git, or use --write, which writes the files alone"}
	}
	var errs []error
	for _, e := range leaves(err) {
		var no *repo.Refusal
		if errors.As(e, &no) {
			e = usage(e, "")
		}
		errs = append(errs, e)
	}
	return errors.Join(errs...)
}

// mustChange names the files that the chosen steps are bound to change, as far
// as that can be told without a run: those that their fixes edit, and those where
// they find something that only a run can tell how to mend. Whom a step leaves
// alone needs no change.
func mustChange(a *app.App, ch chosen, now time.Time) ([]string, error) {
	exceptions, err := a.Exceptions()
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for i, s := range road() {
		if !ch.within(i+2, s.Name) {
			continue
		}
		edits, _ := step.Plan(s, a) // what it cannot fix, the walk says
		for _, e := range step.Remaining(a, edits, step.Spared(exceptions, s, a, now)) {
			names[e.File] = names[e.File] || e.Create == nil
		}
		for _, f := range s.Check(a) {
			x := step.Excepted(exceptions, s, a, f, now)
			spared := x != nil && !x.Ended(now) || step.Unborne(s, a, f.Workload) != ""
			names[f.File] = names[f.File] || f.NeedsRun && !f.Apart && !spared
		}
	}
	if a.Rendered != nil {
		delete(names, a.Rendered.Source.File()) // what it comes from, the findings name
	}
	maps.DeleteFunc(names, func(name string, must bool) bool { return !must || name == "" })
	return slices.Sorted(maps.Keys(names)), nil
}

// listen heeds, from before the walk until bring has ended, what asks this process
// to end. Inside the sandbox the same signal may come too late to end the walk.
func (k *keeper) listen() (stop func()) {
	k.ctx, stop = signal.NotifyContext(k.ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return stop
}

// bring writes, commits and reports what the walk handed over.
func (k *keeper) bring(err error) error {
	if k.got == nil || k.got.Report == nil {
		return err // the walk came to no end; it has said why
	}
	if interrupted := statusOf(err) == Interrupted; interrupted || k.ctx.Err() != nil {
		k.say("road: nothing was written: the walk was at its end, but not yet brought back")
		if interrupted { // inside, it has been said
			return err
		}
		return k.ctx.Err()
	}
	kept := k.keep(k.ctx)
	after := edit.Files{}
	for _, stop := range k.got.Kept {
		maps.Copy(after, stop.After)
	}
	if kept == nil {
		k.postRender(k.source, after)
	}
	for _, name := range k.wrote {
		k.say("road: wrote %s", k.source.place(app.Pos{File: name}))
	}
	told := k.tell(k.got.Report)
	return cmp.Or(kept, err, told) // inside, err has been said already
}

// keep brings the files of the done steps to PATH; nothing is written unless
// every file there is as the walk found it.
func (k *keeper) keep(ctx context.Context) error {
	before, after := edit.Files{}, edit.Files{}
	for _, stop := range k.got.Kept {
		for name, was := range stop.Before {
			if _, ours := after[name]; !ours {
				before[name] = was
			}
		}
		maps.Copy(after, stop.After)
	}
	if err := k.untouched(before, after); err != nil {
		return err
	}
	if k.repo == nil {
		return k.write(after)
	}
	// Walks of other folders of the repository commit one after the other.
	held, err := await(ctx, k.repo.GitDir(), func() { k.say("road: waiting for another road that commits in the same repository") })
	if err == nil {
		defer held.Close()
	} else if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := k.repo.Ready(ctx); err != nil {
		return repoFault(err)
	}
	if err := k.repo.Clean(ctx, slices.Sorted(maps.Keys(before))); err != nil {
		return repoFault(err)
	}
	for i, stop := range k.got.Kept {
		if err := k.commit(ctx, stop); err != nil {
			k.rest(i)
			return err
		}
	}
	return nil
}

// untouched refuses files that are not as before says; those of after that
// before lacks must not be there.
func (k *keeper) untouched(before, after edit.Files) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(after)) {
		was, old := before[name]
		now, err := os.ReadFile(filepath.Join(k.root, filepath.FromSlash(name)))
		there := !errors.Is(err, fs.ErrNotExist)
		switch place := k.source.place(app.Pos{File: name}); {
		case there && err != nil:
			errs = append(errs, usage(err, ""))
		case there && !old:
			errs = append(errs, usage(fmt.Errorf("%s is there already and is to be made: nothing more was written", place), "give what lies there another name, and walk again"))
		case old && (!there || !bytes.Equal(was, now)):
			errs = append(errs, usage(fmt.Errorf("%s was changed since the walk began: nothing more was written", place), "walk again; the diffs are in the report"))
		}
	}
	return errors.Join(errs...)
}

func (k *keeper) write(files edit.Files) error {
	if err := edit.Write(k.root, files); err != nil {
		return fmt.Errorf("write the files: %w", err)
	}
	for name := range files {
		if !slices.Contains(k.wrote, name) {
			k.wrote = append(k.wrote, name)
		}
	}
	slices.Sort(k.wrote)
	return nil
}

// commit writes the files of one stop and commits them. Where git or a hook
// refuses, they stay for the user to go on; an interruption takes them back.
func (k *keeper) commit(ctx context.Context, kept walk.Kept) error {
	stop := stopOf(k.got.Report, kept.Number)
	if stop == nil {
		return fmt.Errorf("the walk changed files at a stop %d that it does not report", kept.Number)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := k.untouched(kept.Before, kept.After); err != nil {
		return err
	}
	if err := edit.Write(k.root, kept.After); err != nil {
		return errors.Join(fmt.Errorf("write the files of stop %d: %w", kept.Number, err), k.takeBack(kept, nil))
	}
	names := slices.Sorted(maps.Keys(kept.After))
	created := slices.DeleteFunc(slices.Clone(names), func(n string) bool { _, old := kept.Before[n]; return old })
	sha, err := k.repo.Commit(ctx, report.CommitMessage(stop), names, created)
	switch {
	case err != nil && ctx.Err() != nil:
		if err := k.takeBack(kept, created); err != nil {
			complain(k.stderr, "error", err.Error())
		}
		return ctx.Err()
	case err != nil:
		return usage(fmt.Errorf("stop %d is not committed: %w", kept.Number, err),
			"its files are written; mend what git says and commit them, then walk again for the rest")
	}
	stop.Commit = &walk.Commit{SHA: sha, Subject: report.CommitSubject(stop)}
	k.say("road: commit %.10s %s", sha, stop.Commit.Subject)
	if err := k.untouched(kept.After, kept.After); err != nil { // a hook that rewrites files
		return usage(fmt.Errorf("stop %d was committed otherwise than it was walked: %w", kept.Number, err), "")
	}
	return nil
}

// takeBack puts a stop's files back as they were. One that is neither as it was nor
// as the stop left it is somebody else's work, and stays.
func (k *keeper) takeBack(kept walk.Kept, created []string) error {
	var errs []error
	back := edit.Files{}
	for _, name := range slices.Sorted(maps.Keys(kept.After)) {
		file := filepath.Join(k.root, filepath.FromSlash(name))
		now, err := os.ReadFile(file)
		was, old := kept.Before[name]
		switch {
		case old && err == nil && bytes.Equal(now, was), !old && errors.Is(err, fs.ErrNotExist): // not written yet
		case err != nil:
			errs = append(errs, err)
		case !bytes.Equal(now, kept.After[name]):
			errs = append(errs, fmt.Errorf("%s was changed meanwhile and stays as it is now", k.source.place(app.Pos{File: name})))
		case old:
			back[name] = was
		default:
			errs = append(errs, os.Remove(file))
		}
	}
	errs = append(errs, edit.Write(k.root, back), k.repo.Forget(context.WithoutCancel(k.ctx), created))
	return errors.Join(errs...)
}

// rest says which stops are not written for want of the one before.
func (k *keeper) rest(failed int) {
	if later := k.got.Kept[failed+1:]; len(later) > 0 {
		k.say("road: not written: stops %d to %d", later[0].Number, later[len(later)-1].Number)
	}
}

func stopOf(r *walk.Report, number int) *walk.Stop {
	for _, s := range r.Stops {
		if s.Number == number {
			return s
		}
	}
	return nil
}
