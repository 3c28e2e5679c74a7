package repo

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var ctx = context.Background()

// work makes a repository with app/web.yaml and notes.txt committed, and gives
// its top. Git sees no configuration but the repository's own.
func work(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not on PATH")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, k := range []string{"GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"} {
		t.Setenv(k, "") // put back afterwards
		os.Unsetenv(k)
	}
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put(t, top, "app/web.yaml", "a: 1\n")
	put(t, top, "notes.txt", "notes\n")
	git(t, top, "init", "-q", "-b", "main")
	git(t, top, "config", "user.name", "Ada")
	git(t, top, "config", "user.email", "ada@example.com")
	git(t, top, "add", "-A")
	git(t, top, "commit", "-q", "-m", "one")
	return top
}

func put(t *testing.T, top, name, content string) {
	t.Helper()
	name = filepath.Join(top, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := try(dir, args...)
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func try(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func open(t *testing.T, dir string) *Repo {
	t.Helper()
	r, err := Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A commit holds its files and nothing else; what else is staged stays staged.
func TestCommitOnlyItsFiles(t *testing.T) {
	top := work(t)
	put(t, top, ".gitignore", "*.new\n")
	put(t, top, "staged.txt", "staged\n")
	git(t, top, "add", "staged.txt")
	put(t, top, "notes.txt", "changed\n")
	put(t, top, "app/web.yaml", "a: 2\n")
	put(t, top, "app/policy.new", "b: 1\n")

	r := open(t, filepath.Join(top, "app"))
	sha, err := r.Commit(ctx, "road: two\n\n# not a comment\n", []string{"web.yaml", "policy.new"}, []string{"policy.new"})
	if err != nil {
		t.Fatal(err)
	}
	if head := git(t, top, "rev-parse", "HEAD"); sha != head {
		t.Errorf("commit %s, HEAD %s", sha, head)
	}
	if got := git(t, top, "show", "--name-only", "--format=%an%n%B"); got != "Ada\nroad: two\n\n# not a comment\n\n\napp/policy.new\napp/web.yaml" {
		t.Errorf("the commit is\n%s", got)
	}
	if got := git(t, top, "status", "--short"); got != "M notes.txt\nA  staged.txt\n?? .gitignore" {
		t.Errorf("afterwards:\n%s", got)
	}
}

// What a commit must not sweep up is refused file by file.
func TestClean(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, top string)
		want string
	}{
		"as committed": {func(*testing.T, string) {}, ""},
		"changed":      {func(t *testing.T, top string) { put(t, top, "app/web.yaml", "a: 2\n") }, "has changes that are not committed"},
		"staged": {func(t *testing.T, top string) {
			put(t, top, "app/web.yaml", "a: 2\n")
			git(t, top, "add", "app/web.yaml")
			put(t, top, "app/web.yaml", "a: 1\n")
		}, "has changes that are not committed"},
		"untracked": {func(t *testing.T, top string) {
			git(t, top, "rm", "-q", "--cached", "app/web.yaml")
			git(t, top, "commit", "-qm", "x")
		}, "is not committed"},
		"hidden":    {func(t *testing.T, top string) { git(t, top, "update-index", "--assume-unchanged", "app/web.yaml") }, "is kept out of git's sight"},
		"another's": {func(t *testing.T, top string) { git(t, filepath.Join(top, "app"), "init", "-q") }, "belongs to another repository"},
	} {
		t.Run(name, func(t *testing.T) {
			top := work(t)
			c.do(t, top)
			err := open(t, top).Clean(ctx, []string{"app/web.yaml"})
			var no *Refusal
			switch {
			case c.want == "" && err == nil:
			case c.want == "" || !errors.As(err, &no) || !strings.Contains(err.Error(), c.want) || no.Hint() == "":
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(t *testing.T, top string)
		want string // "" for none
	}{
		"subfolder, detached": {func(t *testing.T, top string) { git(t, top, "checkout", "-q", "--detach") }, ""},
		"no repository":       {func(t *testing.T, top string) { os.RemoveAll(filepath.Join(top, ".git")) }, "is in no git repository"},
		"bare":                {func(t *testing.T, top string) { git(t, top, "config", "core.bare", "true") }, "git cannot use"},
		"no commit": {func(t *testing.T, top string) {
			os.RemoveAll(filepath.Join(top, ".git"))
			git(t, top, "init", "-q")
		}, "has no commit yet"},
		"nobody": {func(t *testing.T, top string) { git(t, top, "config", "--unset", "user.email") }, "git does not know who commits"},
		"merge": {func(t *testing.T, top string) {
			git(t, top, "checkout", "-q", "-b", "other")
			put(t, top, "notes.txt", "other\n")
			git(t, top, "commit", "-qam", "other")
			git(t, top, "checkout", "-q", "main")
			put(t, top, "notes.txt", "main\n")
			git(t, top, "commit", "-qam", "main")
			try(top, "merge", "other")
		}, "in the middle of a merge"},
		"rebase": {func(t *testing.T, top string) {
			git(t, top, "checkout", "-q", "-b", "other")
			put(t, top, "notes.txt", "other\n")
			git(t, top, "commit", "-qam", "other")
			git(t, top, "checkout", "-q", "main")
			put(t, top, "notes.txt", "main\n")
			git(t, top, "commit", "-qam", "main")
			try(top, "rebase", "other")
		}, "in the middle of a rebase"},
		"locked": {func(t *testing.T, top string) { put(t, top, ".git/index.lock", "") }, "another git program is at work"},
	} {
		t.Run(name, func(t *testing.T) {
			top := work(t)
			c.do(t, top)
			_, err := Open(ctx, filepath.Join(top, "app"))
			switch {
			case c.want == "" && err == nil:
			case c.want == "" || err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// What is no refusal of git's is not told as one.
func TestOpenTellsFaultsApart(t *testing.T) {
	top := work(t)
	gone, cancel := context.WithCancel(ctx)
	cancel()
	r := open(t, top)
	for what, err := range map[string]error{"Open": second(Open(gone, top)), "Ready": r.Ready(gone)} {
		var no *Refusal
		if !errors.Is(err, context.Canceled) || errors.As(err, &no) {
			t.Errorf("%s, interrupted: %v", what, err)
		}
	}
	r.git = filepath.Join(top, "notes.txt") // no program
	if err := r.Ready(ctx); err == nil || strings.Contains(err.Error(), "no commit") {
		t.Errorf("git cannot be run: %v", err)
	}
	r = open(t, top)
	put(t, top, ".git/config", "[user\n")
	if err := r.Ready(ctx); err == nil || strings.Contains(err.Error(), "no commit") || !strings.Contains(err.Error(), "bad config") {
		t.Errorf("a broken configuration: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A hook that refuses is heard, and nothing is committed.
func TestHookRefuses(t *testing.T) {
	top := work(t)
	put(t, top, ".git/hooks/pre-commit", "#!/bin/sh\necho no manifests on a Sunday\nexit 1\n")
	put(t, top, "app/web.yaml", "a: 2\n")
	put(t, top, "app/new.yaml", "b: 2\n")
	r := open(t, top)
	before := git(t, top, "rev-parse", "HEAD")
	_, err := r.Commit(ctx, "road: two", []string{"app/new.yaml", "app/web.yaml"}, []string{"app/new.yaml"})
	if err == nil || !strings.Contains(err.Error(), "no manifests on a Sunday") {
		t.Errorf("got %v", err)
	}
	if got := git(t, top, "rev-parse", "HEAD"); got != before {
		t.Error("there is a commit all the same")
	}
	if err := r.Forget(ctx, []string{"app/new.yaml"}); err != nil {
		t.Fatal(err)
	}
	if got := git(t, top, "status", "--short"); got != "M app/web.yaml\n?? app/new.yaml" {
		t.Errorf("afterwards:\n%s", got)
	}
}

// Root commits as the repository's owner, and what comes about is the owner's.
func TestCommitAsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as somebody else")
	}
	top := work(t)
	const owner = 54321 // nobody has an account of this number
	for dir := top; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put(t, top, ".git/hooks/post-commit", "#!/bin/sh\nid -u > hook; echo $HOME >> hook\n")
	put(t, top, "app/web.yaml", "a: 2\n")
	filepath.Walk(top, func(name string, _ os.FileInfo, _ error) error { return os.Lchown(name, owner, owner) })
	if _, err := open(t, top).Commit(ctx, "road: two", []string{"app/web.yaml"}, nil); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(top, "hook")); string(b) != "54321\n/nonexistent\n" {
		t.Errorf("the hook ran as %q", b)
	}
	filepath.Walk(top, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.Sys().(*syscall.Stat_t).Uid != owner {
			t.Errorf("%s is not the owner's: %v", name, err)
		}
		return nil
	})
}

func TestEnvironment(t *testing.T) {
	in := []string{"PATH=/bin", "HOME=/root", "GIT_DIR=/elsewhere", "SUDO_UID=5", "GIT_AUTHOR_NAME=Ada"}
	if got := (&identity{}).environ(in); !slices.Equal(got, []string{"PATH=/bin", "HOME=/root", "SUDO_UID=5", "GIT_AUTHOR_NAME=Ada"}) {
		t.Errorf("as oneself: %v", got)
	}
	in = append(in, "GIT_AUTHOR_EMAIL=a@b", "GIT_AUTHOR_DATE=1", "GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=a@b", "GIT_COMMITTER_DATE=1", "EMAIL=a@b")
	in = append(in, "GNUPGHOME=/root/.gnupg", "SSH_AUTH_SOCK=/run/agent", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.hooksPath", "GIT_CONFIG_VALUE_0=/root/hooks")
	ada := &identity{account: &user.User{Username: "ada", HomeDir: "/home/ada"}}
	if got := ada.environ(in); !slices.Equal(got, []string{"PATH=/bin", "HOME=/home/ada", "USER=ada", "LOGNAME=ada"}) {
		t.Errorf("as the owner: %v", got)
	}
}
