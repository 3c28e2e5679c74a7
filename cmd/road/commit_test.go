package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/sandbox/sandboxtest"
	"road/internal/walk"
)

const knownSecret = "correct-horse-battery"

// shop is an application that tells its secret to everybody.
var shop = map[string]string{
	"Dockerfile": "# the shop\nFROM debian:trixie-slim\nCMD [\"sh\", \"-c\", \"trap 'exit 0' TERM; while :; do echo $PASSWORD; sleep 1; done\"]\n",
	"k8s/web.yaml": `apiVersion: v1
kind: Pod
metadata: {name: shop}  # flow style stays
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: shop
    image: shop:1
    env:
    - name: PASSWORD
      valueFrom: {secretKeyRef: {name: shop, key: password}}
`,
	"k8s/secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: shop}\nstringData:\n  password: " + knownSecret + "\n",
}

// A walk as root in somebody's repository makes their commits: one for each done
// step, with what showed it, and without the application's secrets.
func TestSandboxWalkCommit(t *testing.T) {
	program := road(t)
	top := t.TempDir()
	path := filepath.Join(top, "apps", "shop")
	for name, content := range shop {
		name = filepath.Join(path, name)
		os.MkdirAll(filepath.Dir(name), 0o755)
		if err := os.WriteFile(name, []byte(content), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	git := sandboxtest.Repository(t, top)

	cmd := exec.Command(program, "walk", "--to", "3", "--commit", "-o", "json", path)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, stderr.String(), out)
	}
	var r walk.Report
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	shas := strings.Fields(git("log", "--reverse", "--format=%H"))
	if len(shas) != 3 || len(r.Stops) != 3 {
		t.Fatalf("%d commits, %d stops:\n%s", len(shas), len(r.Stops), stderr.String())
	}
	for i, s := range r.Stops[1:] {
		if s.Status != walk.Done || s.Commit == nil || s.Commit.SHA != shas[i+1] || s.Commit.Subject != git("show", "-s", "--format=%s", shas[i+1]) {
			t.Errorf("stop %d: %s, %+v, want commit %s", s.Number, s.Status, s.Commit, shas[i+1])
		}
	}
	checkCommits(t, git, shas)
	if all := git("log", "-p", shas[0]+".."); strings.Contains(all+string(out)+stderr.String(), knownSecret) {
		t.Error("a commit or the report holds the secret")
	}
	if got := git("status", "--short"); got != "" {
		t.Errorf("afterwards:\n%s", got)
	}
	sandboxtest.Owned(t, top, func(name string, info os.FileInfo) {
		if strings.HasSuffix(name, ".yaml") && info.Mode().Perm() != 0o640 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	})
}

func checkCommits(t *testing.T, git func(...string) string, shas []string) {
	t.Helper()
	if got := git("show", "-s", "--format=%an <%ae>, %cn", shas[1]); got != "Ada <ada@example.com>, Ada" {
		t.Errorf("commit by %s", got)
	}
	for i, want := range [][]string{1: {"road: run as a non-root user (non-root)", "- overwrite-system-binary on pod/shop", "before | ", "after  | open /usr/bin/env: Permission denied"},
		2: {"road: make the root file system read-only (read-only-root)", "- drop-and-run on pod/shop", "Read-only file system", "What stays open:\n- run-from-memory on pod/shop"}} {
		message := git("show", "-s", "--format=%B", shas[i])
		for _, w := range want {
			if !strings.Contains(message, w) {
				t.Errorf("commit %d lacks %q:\n%s", i, w, message)
			}
		}
	}
	first, second := git("show", shas[1]+":apps/shop/k8s/web.yaml"), git("show", shas[2]+":apps/shop/k8s/web.yaml")
	if !strings.Contains(first, "runAsNonRoot: true") || strings.Contains(first, "readOnlyRootFilesystem") || !strings.Contains(second, "readOnlyRootFilesystem: true") {
		t.Errorf("the files of the commits:\n%s\n%s", first, second)
	}
}
