package readonlyroot

import (
	"context"
	"strings"
	"syscall"
	"testing"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

var erofs = &probe.Error{Op: "open", Path: "/app/x", Errno: int(syscall.EROFS), Message: "Read-only file system"}

func TestJudgeOverwrite(t *testing.T) {
	if out, err := judgeOverwrite(nil, true, "F"); err != nil || out.Verdict != step.Succeeded {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := judgeOverwrite(erofs, true, "F"); err != nil || out.Verdict != step.Succeeded {
		t.Errorf("changed bytes count, whatever was answered: %+v, %v", out, err)
	}
	if out, err := judgeOverwrite(erofs, false, "F"); err != nil || out.Verdict != step.Blocked {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := judgeOverwrite(nil, false, "F"); err == nil {
		t.Errorf("%+v", out)
	}
}

// TestRootDirs has a tool never be saved on a volume.
func TestRootDirs(t *testing.T) {
	a := load(t, map[string]string{"pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers:\n  - {name: c, image: i, workingDir: /data/db, volumeMounts: [{name: v, mountPath: /data/}]}\n  - {name: d, image: i}\n  - {name: e, image: i, volumeMounts: [{name: v, mountPath: /}]}\n  volumes: [{name: v, emptyDir: {}}]\n"})
	a.Seen.Images = map[string]app.ImageFacts{"i": {WorkingDir: "/app", Volumes: []string{"/var/tmp"}}}
	for name, want := range map[string]string{"c": "/tmp", "d": "/app /tmp", "e": ""} {
		dirs, err := rootDirs(&sandbox.Scene{App: a, Target: sandbox.Target{Workload: "pod/p", Container: name}})
		got := ""
		for i, d := range dirs {
			if i > 0 {
				got += " "
			}
			got += d
		}
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
}

// A foothold takes every file, has no shell, and lets nothing be renamed or removed.
type foothold struct {
	sandbox.Foothold
	keeps bool
}

func (f foothold) Code(_ context.Context, verb string, _, _ any) error {
	switch {
	case verb == probe.Exec:
		return &probe.Error{Op: "exec", Path: "sh", Errno: int(syscall.ENOENT), Message: "No such file or directory"}
	case verb == probe.Rename, verb == probe.Remove && f.keeps:
		return erofs
	}
	return nil
}

// TestLeft has attacks that are blocked say what they leave behind: a line that no
// shell reads, and a file that cannot be taken away again.
func TestLeft(t *testing.T) {
	a := load(t, map[string]string{"pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"})
	s := &sandbox.Scene{App: a, Target: sandbox.Target{Workload: "pod/p", Container: "c"}, Foothold: foothold{}, Volume: "/v", Node: files{}}
	if out, err := plantStartupFile(t.Context(), s); err != nil || out.Verdict != step.Blocked || !out.Left || !strings.Contains(out.Evidence, "/etc/profile.d/road.sh was written") {
		t.Errorf("%+v, %v", out, err)
	}
	for _, keeps := range []bool{true, false} {
		s.Foothold = foothold{keeps: keeps}
		if out, err := overwrite(t.Context(), s, "/app/x"); err != nil || out.Verdict != step.Blocked || out.Left != keeps {
			t.Errorf("keeps %v: %+v, %v", keeps, out, err)
		}
	}
}

// files are all as they were.
type files struct{ sandbox.Node }

func (files) ReadFile(string, int64) ([]byte, error) { return []byte("old"), nil }
func (files) Stat(string) (sandbox.File, error)      { return sandbox.File{}, nil }
