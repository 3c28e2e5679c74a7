package examples

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/sandbox/sandboxtest"
	"road/internal/walk"
)

// A walk as root in somebody's repository, of an application with a secret that is
// known: the files and the commits are the owner's, work of his that no step
// touches stays as it is, and nothing that comes out of it holds the secret.
func TestSandboxOwnersRepository(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap", "git")
	program := build(t)
	top := t.TempDir()
	if err := os.CopyFS(filepath.Join(top, "db"), os.DirFS("postgres")); err != nil {
		t.Fatal(err)
	}
	git := sandboxtest.Repository(t, top)
	for name, text := range map[string]string{"db/notes.txt": "a thought\n", "db/manifests/service.yaml": "# a thought\n"} {
		f, err := os.OpenFile(filepath.Join(top, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(text)
		f.Close()
		os.Lchown(filepath.Join(top, name), sandboxtest.Owner, sandboxtest.Owner)
	}
	before := git("status", "--short")

	seen := filepath.Join(t.TempDir(), "seen.json")
	said := run(t, program, "learn", "--save", seen, filepath.Join(top, "db"))
	kept, err := os.ReadFile(seen)
	if err != nil {
		t.Fatal(err)
	}
	out := run(t, program, "walk", "--only", "non-root,network-policy", "--commit", "-o", "json", filepath.Join(top, "db"))
	var r walk.Report
	if err := json.Unmarshal(out.stdout, &r); err != nil {
		t.Fatal(err)
	}
	text := run(t, program, "walk", "--only", "no-escalation", filepath.Join(top, "db")) // the report in text, and evidence in it
	if log := git("log", "--format=%an %cn %s"); strings.Count(log, "\n") != 2 || strings.Count(log, "Ada Ada road: ") != 2 {
		t.Errorf("commits:\n%s", log)
	}
	if after := git("status", "--short"); after != before {
		t.Errorf("the work tree was\n%s\nand is\n%s", before, after)
	}
	sandboxtest.Owned(t, top, nil)
	history := git("log", "-p", "--format=%B", "HEAD~2..")
	for name, text := range map[string]string{"learn": said.all(), "what learn saved": string(kept), "walk --commit": out.all(), "walk": text.all(), "history": history} {
		for _, form := range []string{"correct-horse-battery", base64.StdEncoding.EncodeToString([]byte("correct-horse-battery"))} {
			if strings.Contains(text, form) {
				t.Errorf("%s holds the secret, as %s", name, form)
			}
		}
	}
}

// An output is what road said.
type output struct{ stdout, stderr []byte }

func (o output) all() string { return string(o.stdout) + string(o.stderr) }

// run runs road; that something falls short, status 1, is no failure.
func run(t *testing.T, program string, args ...string) output {
	t.Helper()
	cmd := exec.Command(program, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit, ok := err.(*exec.ExitError); err != nil && (!ok || exit.ExitCode() != 1) {
		t.Fatalf("road %v: %v\n%s", args, err, stderr.String())
	}
	return output{stdout.Bytes(), stderr.Bytes()}
}

// build builds road and its programs as a user does.
func build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "road/cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "road")
}
