// Package repo makes commits in the git repository around an application, with
// the git program and as the repository's owner: what road does under sudo looks
// there like the owner's own work, and no hook or configuration of theirs runs
// as root.
//
// Everything that could stop a commit is looked for before the first one. Hooks
// run as they do with git commit.
package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoGit says that the git program is missing.
var ErrNoGit = errors.New("git is not on PATH")

// A Refusal is why no commit can be made, and what the user can do about it.
type Refusal struct {
	Message string
	Help    string
}

// Error gives the reason alone.
func (r *Refusal) Error() string { return r.Message }

// Hint says what to do about it.
func (r *Refusal) Hint() string { return r.Help }

func refuse(hint, format string, args ...any) error {
	return &Refusal{fmt.Sprintf(format, args...), hint}
}

// A Repo is the repository that holds a folder. The folder may be any below the
// top of its work tree.
type Repo struct {
	folder string // absolute, without links
	top    string // the folder that holds .git
	gitDir string // where this work tree's state is
	git    string // the program
	as     *identity
}

// Open finds the repository that holds folder, and refuses one in which nothing
// can be committed now: without a work tree or a commit, in the middle of a merge
// or rebase, or for an owner who has no name in git.
func Open(ctx context.Context, folder string) (*Repo, error) {
	folder, err := filepath.Abs(folder)
	if err == nil {
		folder, err = filepath.EvalSymlinks(folder)
	}
	if err != nil {
		return nil, err
	}
	r := &Repo{folder: folder}
	if r.top = holder(folder); r.top == "" {
		return nil, refuse("git init there and commit what it holds first, or use --write, which writes the files alone",
			"%s is in no git repository with a work tree", folder)
	}
	if r.git, err = exec.LookPath("git"); err != nil {
		return nil, ErrNoGit
	}
	if r.as, err = ownerOf(filepath.Join(r.top, ".git")); err != nil {
		return nil, err
	}
	out, err := r.run(ctx, nil, "rev-parse", "--absolute-git-dir", "--show-toplevel")
	if err != nil && !ended(err) {
		return nil, fmt.Errorf("git rev-parse in %s: %w", r.top, err)
	}
	if err != nil {
		return nil, refuse("git status there says more", "git cannot use %s: %v", r.top, err)
	}
	r.gitDir, _, _ = strings.Cut(out, "\n")
	return r, r.Ready(ctx)
}

// GitDir is where git keeps what it knows of the work tree.
func (r *Repo) GitDir() string { return r.gitDir }

// holder gives the nearest folder, from dir upwards, that holds a .git.
func holder(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return ""
		}
		dir = up
	}
}

// going are the files and folders by which git knows what it is in the middle of.
var going = []struct{ name, what, end string }{
	{"MERGE_HEAD", "a merge", "git merge --abort"},
	{"rebase-merge", "a rebase", "git rebase --abort"},
	{"rebase-apply", "a rebase", "git rebase --abort"},
	{"CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --abort"},
	{"REVERT_HEAD", "a revert", "git revert --abort"},
}

// Ready refuses a repository that is busy with something else, or in which its
// owner cannot commit.
func (r *Repo) Ready(ctx context.Context) error {
	for _, g := range going {
		if _, err := os.Lstat(filepath.Join(r.gitDir, g.name)); err == nil {
			return refuse("finish it first, or end it with "+g.end, "%s is in the middle of %s", r.top, g.what)
		}
	}
	if _, err := os.Lstat(filepath.Join(r.gitDir, "index.lock")); !errors.Is(err, fs.ErrNotExist) {
		return refuse("wait for it; where none runs, remove "+filepath.Join(r.gitDir, "index.lock"), "another git program is at work in %s", r.top)
	}
	if _, err := r.run(ctx, nil, "rev-parse", "--verify", "--quiet", "HEAD"); err != nil {
		if !quiet(err) { // of a HEAD that is not there git has nothing to say
			return fmt.Errorf("git rev-parse in %s: %w", r.top, err)
		}
		return refuse("commit the application as it is first", "%s has no commit yet", r.top)
	}
	for _, who := range []string{"GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"} {
		if _, err := r.run(ctx, nil, "var", who); err != nil {
			if !ended(err) || !strings.Contains(err.Error(), "user.") { // in each language it names the settings
				return fmt.Errorf("git var %s in %s: %w", who, r.top, err)
			}
			return refuse("as "+r.as.name+": git config --global user.name NAME; git config --global user.email ADDRESS",
				"git does not know who commits: %s has no user.name and user.email", r.as.name)
		}
	}
	return nil
}

// Clean refuses files, named relative to the folder, that are not committed as
// they are: a commit of theirs would hold more than road's change.
func (r *Repo) Clean(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var errs []error
	var own []string
	for _, name := range names {
		if top := holder(filepath.Dir(r.path(name))); top != r.top {
			errs = append(errs, refuse("walk it by itself: road walk --commit "+top, "%s belongs to another repository", r.path(name)))
			continue
		}
		own = append(own, name)
	}
	tracked, err := r.list(ctx, own, "ls-files", "-v", "-z")
	if err != nil {
		return err
	}
	changed, err := r.list(ctx, own, "diff", "--name-only", "--relative", "-z", "HEAD")
	if err != nil {
		return err
	}
	staged, err := r.list(ctx, own, "diff", "--cached", "--name-only", "--relative", "-z", "HEAD")
	if err != nil {
		return err
	}
	mark := map[string]string{}
	for _, t := range tracked {
		mark[t[min(2, len(t)):]] = t[:1]
	}
	dirty := map[string]bool{}
	for _, name := range append(changed, staged...) {
		dirty[name] = true
	}
	for _, name := range own {
		switch m := mark[name]; {
		case m == "":
			errs = append(errs, refuse("git add and commit it first", "%s is not committed", r.path(name)))
		case m == "S" || m != strings.ToUpper(m):
			errs = append(errs, refuse("git update-index --no-skip-worktree --no-assume-unchanged", "%s is kept out of git's sight", r.path(name)))
		case dirty[name]:
			errs = append(errs, refuse("commit or stash the changes first", "%s has changes that are not committed", r.path(name)))
		}
	}
	return errors.Join(errs...)
}

// list gives what a git command says of files, by name relative to the folder.
func (r *Repo) list(ctx context.Context, names []string, args ...string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	out, err := r.run(ctx, nil, append(append(args, "--"), literal(names)...)...)
	if err != nil {
		return nil, fmt.Errorf("git %s in %s: %w", args[0], r.top, err)
	}
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 }), nil
}

func (r *Repo) path(name string) string { return filepath.Join(r.folder, filepath.FromSlash(name)) }

// literal makes names that git does not take for patterns.
func literal(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = ":(literal)" + n
	}
	return out
}
