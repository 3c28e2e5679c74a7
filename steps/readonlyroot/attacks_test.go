package readonlyroot

import (
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
