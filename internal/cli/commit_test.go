package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/lock"
	"road/internal/repo"
	"road/internal/report"
	"road/internal/walk"
)

// brought makes a folder with web.yaml, in a git repository where asked for, and
// a keeper for it that was handed two stops: the first changes web.yaml, the
// second changes it again and makes policy.yaml.
func brought(t *testing.T, commit bool) (k *keeper, stderr *bytes.Buffer, git func(...string) string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", t.TempDir())
	git = func(args ...string) string {
		cmd := exec.Command("git", append([]string{"-c", "user.name=Ada", "-c", "user.email=ada@example.com"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	place(t, dir, "web.yaml", "one\n")
	stderr = &bytes.Buffer{}
	c := &command{ctx: context.Background(), stdout: &bytes.Buffer{}, stderr: stderr}
	r := &run{command: c, source: &source{path: dir}, output: "json", format: report.JSON}
	k = &keeper{run: r, root: dir, got: &handover{
		Report: &walk.Report{Stops: []*walk.Stop{
			{Number: 1, Works: walk.Works{Verdict: "works"}},
			{Number: 2, Step: "a", Title: "Do a", Status: walk.Done, Works: walk.Works{Verdict: "works"}},
			{Number: 3, Step: "b", Title: "Do b", Status: walk.Done, Works: walk.Works{Verdict: "works"}},
		}},
		Kept: []walk.Kept{
			{Number: 2, Before: edit.Files{"web.yaml": []byte("one\n")}, After: edit.Files{"web.yaml": []byte("two\n")}},
			{Number: 3, Before: edit.Files{"web.yaml": []byte("two\n")}, After: edit.Files{"web.yaml": []byte("three\n"), "policy.yaml": []byte("new\n")}},
		},
	}}
	if commit {
		git("init", "-q", "-b", "main")
		git("config", "user.name", "Ada")
		git("config", "user.email", "ada@example.com")
		git("add", "-A")
		git("commit", "-qm", "one")
		if k.repo, err = repo.Open(context.Background(), dir); err != nil {
			t.Fatal(err)
		}
	}
	return k, stderr, git
}

func place(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755); err != nil {
		t.Fatal(err)
	}
}

func wantFile(t *testing.T, k *keeper, name, want string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(k.root, name))
	if want == "" && os.IsNotExist(err) {
		return
	}
	if string(b) != want {
		t.Errorf("%s holds %q, want %q (%v)", name, b, want, err)
	}
}

func TestWriteBringsFilesBack(t *testing.T) {
	k, stderr, _ := brought(t, false)
	if err := k.bring(nil); err != nil {
		t.Fatal(err)
	}
	wantFile(t, k, "web.yaml", "three\n")
	wantFile(t, k, "policy.yaml", "new\n")
	if got := stderr.String(); strings.Count(got, "road: wrote ") != 2 {
		t.Errorf("said %q", got)
	}
}

// What changed since the copy was made is not overwritten, and nothing else is
// written; the report comes all the same.
func TestWriteRefusesWhatChanged(t *testing.T) {
	for name, c := range map[string]struct{ file, content, want string }{
		"changed": {"web.yaml", "mine\n", "was changed since the walk began"},
		"made":    {"policy.yaml", "mine\n", "is there already"},
	} {
		t.Run(name, func(t *testing.T) {
			k, _, _ := brought(t, false)
			place(t, k.root, c.file, c.content)
			err := k.bring(nil)
			if statusOf(err) != BadInput || !strings.Contains(err.Error(), c.want) {
				t.Errorf("status %d: %v", statusOf(err), err)
			}
			wantFile(t, k, c.file, c.content)
			if c.file == "policy.yaml" {
				wantFile(t, k, "web.yaml", "one\n")
			} else {
				wantFile(t, k, "policy.yaml", "")
			}
			if !strings.Contains(k.stdout.(*bytes.Buffer).String(), `"schema"`) {
				t.Error("no report")
			}
		})
	}
}

func TestCommitsEachStop(t *testing.T) {
	k, _, git := brought(t, true)
	place(t, k.root, "mine.txt", "mine\n")
	git("add", "mine.txt")
	if err := k.bring(nil); err != nil {
		t.Fatal(err)
	}
	if got := git("log", "--format=%s"); got != "road: do b (b)\nroad: do a (a)\none" {
		t.Errorf("log:\n%s", got)
	}
	if got := git("show", "HEAD~:web.yaml") + git("show", "HEAD:web.yaml") + git("show", "HEAD:policy.yaml"); got != "twothreenew" {
		t.Errorf("the commits hold %q", got)
	}
	if got := git("status", "--short"); got != "A  mine.txt" {
		t.Errorf("afterwards:\n%s", got)
	}
	for i, want := range map[int]string{1: "HEAD~", 2: "HEAD"} {
		if c := k.got.Report.Stops[i].Commit; c == nil || c.SHA != git("rev-parse", want) || !strings.HasPrefix(c.Subject, "road: do ") {
			t.Errorf("stop %d: %+v", i+1, c)
		}
	}
}

// A hook that refuses ends it there: the commits before are whole, the files of
// its stop lie ready, the rest is not written.
func TestCommitStopsAtHook(t *testing.T) {
	k, stderr, git := brought(t, true)
	hook := "#!/bin/sh\ngrep -q three web.yaml || exit 0\necho three is refused; exit 1\n"
	place(t, filepath.Join(k.root, ".git/hooks"), "pre-commit", hook)
	later := walk.Kept{Number: 4, Before: k.got.Kept[1].After, After: edit.Files{"web.yaml": []byte("four\n")}}
	k.got.Kept = append(k.got.Kept, later)
	err := k.bring(nil)
	if statusOf(err) != BadInput || !strings.Contains(err.Error(), "stop 3 is not committed") || !strings.Contains(err.Error(), "three is refused") {
		t.Errorf("status %d: %v", statusOf(err), err)
	}
	if got := git("log", "--format=%s"); got != "road: do a (a)\none" {
		t.Errorf("log:\n%s", got)
	}
	wantFile(t, k, "web.yaml", "three\n")
	if !strings.Contains(stderr.String(), "not written: stops 4 to 4") {
		t.Errorf("said %q", stderr)
	}
}

// A hook that rewrites what was walked is found out.
func TestCommitFindsOutRewrites(t *testing.T) {
	k, _, git := brought(t, true)
	place(t, filepath.Join(k.root, ".git/hooks"), "pre-commit", "#!/bin/sh\necho tidy >> web.yaml; git add web.yaml\n")
	err := k.bring(nil)
	if statusOf(err) != BadInput || !strings.Contains(err.Error(), "committed otherwise than it was walked") {
		t.Errorf("status %d: %v", statusOf(err), err)
	}
	if got := git("log", "--format=%s"); got != "road: do a (a)\none" {
		t.Errorf("log:\n%s", got)
	}
}

// An interruption while the sandbox is taken down writes nothing.
func TestInterruptedBeforeWriting(t *testing.T) {
	for _, inside := range []error{nil, exit(Interrupted)} {
		k, stderr, git := brought(t, true)
		if inside == nil {
			defer k.listen()()
			if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			<-k.ctx.Done()
		}
		if err := k.bring(inside); statusOf(err) != Interrupted {
			t.Errorf("status %d: %v", statusOf(err), err)
		}
		if got := git("log", "--format=%s") + git("status", "--short"); got != "one" {
			t.Errorf("afterwards: %s", got)
		}
		if !strings.Contains(stderr.String(), "nothing was written") {
			t.Errorf("said %q", stderr)
		}
	}
}

// interrupted brings the stops, interrupted while the hook is at work, and wants
// the first of them committed and the work tree as that commit says.
func interrupted(t *testing.T, k *keeper, git func(...string) string, hook, script string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	k.ctx = ctx
	place(t, filepath.Join(k.root, ".git/hooks"), hook, script)
	go func() {
		for ctx.Err() == nil {
			if _, err := os.Stat(filepath.Join(k.root, ".git/here")); err == nil {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if err := k.bring(nil); statusOf(err) != Interrupted {
		t.Errorf("status %d: %v", statusOf(err), err)
	}
	if got := git("log", "--format=%s"); got != "road: do a (a)\none" {
		t.Errorf("log:\n%s", got)
	}
	if got := git("status", "--short"); got != "" {
		t.Errorf("afterwards:\n%s", got)
	}
	wantFile(t, k, "web.yaml", "two\n")
}

// An interruption in the middle leaves whole commits and the files of the last.
func TestCommitInterrupted(t *testing.T) {
	k, _, git := brought(t, true)
	interrupted(t, k, git, "pre-commit", "#!/bin/sh\ngrep -q three web.yaml || exit 0\ntouch .git/here; sleep 2\n")
	wantFile(t, k, "policy.yaml", "")
}

// An interruption that comes when git has made the commit takes nothing back: the
// work tree is as the commit says.
func TestCommitInterruptedAfterwards(t *testing.T) {
	k, _, git := brought(t, true)
	interrupted(t, k, git, "post-commit", "#!/bin/sh\ntouch .git/here; sleep 2\n")
	if c := k.got.Report.Stops[1].Commit; c == nil || c.SHA != git("rev-parse", "HEAD") {
		t.Errorf("the report names the commit %+v", c)
	}
}

// What somebody changed while a commit was tried is not taken back.
func TestTakeBackLeavesOthersWork(t *testing.T) {
	k, _, _ := brought(t, true)
	place(t, k.root, "web.yaml", "mine\n")
	place(t, k.root, "policy.yaml", "new\n")
	if err := k.takeBack(k.got.Kept[1], nil); err == nil || !strings.Contains(err.Error(), "web.yaml was changed meanwhile") {
		t.Errorf("got %v", err)
	}
	wantFile(t, k, "web.yaml", "mine\n")
	wantFile(t, k, "policy.yaml", "")
}

// What was not written yet is no reason not to take back the rest.
func TestTakeBackOfAHalf(t *testing.T) {
	for _, content := range []string{"two\n", "three\n"} {
		k, _, _ := brought(t, true)
		place(t, k.root, "web.yaml", content)
		if err := k.takeBack(k.got.Kept[1], nil); err != nil {
			t.Error(err)
		}
		wantFile(t, k, "web.yaml", "two\n")
		wantFile(t, k, "policy.yaml", "")
	}
}

// Without git nothing can be committed, and that is the host's fault.
func TestCommitWithoutGit(t *testing.T) {
	k, _, _ := brought(t, true)
	t.Setenv("PATH", t.TempDir())
	_, err := repo.Open(context.Background(), k.root)
	if err = repoFault(err); statusOf(err) != HostFault || !strings.HasPrefix(hintOf(err), "apt-get install git") {
		t.Errorf("status %d: %v (%s)", statusOf(err), err, hintOf(err))
	}
}

// fix makes no file where a link leads to one.
func TestUnmade(t *testing.T) {
	dir := t.TempDir()
	place(t, dir, "web.json", "{}")
	if err := os.Symlink(".", filepath.Join(dir, "profiles")); err != nil {
		t.Fatal(err)
	}
	src := &source{path: dir, app: &app.App{Root: dir}}
	err := unmade(src, nil, edit.Files{"profiles/web.json": nil, "new.yaml": nil})
	if statusOf(err) != BadInput || !strings.Contains(err.Error(), "web.json is there already") || strings.Contains(err.Error(), "new.yaml") {
		t.Errorf("got %v", err)
	}
	if err := unmade(src, edit.Files{"profiles/web.json": nil}, edit.Files{"profiles/web.json": nil}); err != nil {
		t.Errorf("a file that was read: %v", err)
	}
}

// TestMustChange names no file that the chosen steps leave as it is: a policy is a
// file of its own, and whom a step spares needs no change.
func TestMustChange(t *testing.T) {
	files := map[string][]byte{"web.yaml": []byte(`apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: web}]}
`), "old.yaml": []byte(`apiVersion: v1
kind: Pod
metadata: {name: old}
spec: {containers: [{name: old, image: web}]}
`), "road.yaml": []byte(`apiVersion: road/v1
exceptions:
- {step: read-only-root, workload: pod/web, reason: it writes, until: 2999-01-01}
`)}
	a, err := app.LoadFiles("x", files)
	if err != nil {
		t.Fatal(err)
	}
	for only, want := range map[string]string{"network-policy": "old.yaml", "read-only-root": "old.yaml", "no-escalation": "old.yaml web.yaml"} {
		got, err := mustChange(a, chosen{only: []string{only}}, time.Now())
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %v %v, want %s", only, got, err, want)
		}
	}
}

// Two walks of one folder that bring back: the second is refused at once. Of two
// folders of one repository, the second waits.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	f, err := hold(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := hold(dir); !errors.Is(err, lock.ErrBusy) {
		t.Errorf("locked twice: %v", err)
	}
	waited := false
	g, err := await(t.Context(), dir, func() { waited = true; f.Close() })
	if err != nil || !waited {
		t.Fatalf("%v, waited: %v", err, waited)
	}
	g.Close()
	ctx, cancel := context.WithCancel(t.Context())
	if f, err = hold(dir); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := await(ctx, dir, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// TestKeeperRefusesASecond refuses to begin what would end in finding the files
// changed by the walk before it.
func TestKeeperRefusesASecond(t *testing.T) {
	k, _, _ := brought(t, true)
	k.source.app = &app.App{Root: k.root, Config: &app.Config{}, Seen: &app.Seen{}}
	k.now = time.Now
	for _, commit := range []bool{false, true} {
		first, err := k.run.keeper(!commit, commit)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.run.keeper(true, false); err == nil || !strings.Contains(err.Error(), "another road walks") || statusOf(err) != BadInput {
			t.Errorf("a second walk of the folder: %v", err)
		}
		first.held.Close()
	}
}
