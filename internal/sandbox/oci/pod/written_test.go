package pod

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"road/internal/app"
)

// What a container wrote is told as what it needs: byte code and owners need
// nothing, and a directory that it made beside others is told by name.
func TestSandboxWrites(t *testing.T) {
	need(t)
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, map[string]string{
		"srv/app.py": "x", "srv/kept": "x", "srv/lib/a.py": "x", "srv/out/README": "x", "run/lock/x": "x", "opt/x/y": "z",
	}), one(":sleep", "1m")))
	ready(t, p)
	run(t, p, ":mkdir", "/srv/data", ":write", "/srv/data/db", "x", ":mkdir", "/srv/__pycache__", ":write", "/srv/__pycache__/app.cpython-313.pyc.1", "x",
		":mkdir", "/srv/lib/__pycache__", ":write", "/srv/lib/__pycache__/a.pyc", "x", ":write", "/srv/out/new", "x", ":write", "/run/pid", "x", ":chown", "/srv/kept", "7", ":chown", "/opt/x", "7", ":write", "/etc/passwd", "x")
	roots := &app.Owner{Mode: 0o755}
	want := map[string]app.Write{
		"/srv":     {Made: []string{"data"}, Holds: true, Owner: roots},
		"/srv/out": {Files: true, Holds: true, Owner: roots},
		"/run":     {Files: true, Owner: roots},
		"/opt/x":   {Owned: true, Holds: true, Owner: roots}, // it was, in the image
		"/etc":     {Changed: []string{"passwd"}, Holds: true, Owner: roots},
	}
	got, err := p.Writes("web")
	if d := cmp.Diff(want, got); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
}

func TestHoldsFollowsTheLayers(t *testing.T) {
	top, bottom := t.TempDir(), t.TempDir()
	for _, name := range []string{"a/x", "b/x", "run/lock/x"} {
		if err := os.MkdirAll(filepath.Join(bottom, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(top, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]bool{"/a": true, "/b": true, "/a/x": false, "/none": false, "/run": false} {
		if holds([]string{top, bottom}, dir) != want {
			t.Errorf("%s: not %v", dir, want)
		}
	}
}
