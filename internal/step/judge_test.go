package step

import (
	"syscall"
	"testing"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
)

// TestOnlyTheKernelRefuses has a probe that went away never count as an answer.
func TestOnlyTheKernelRefuses(t *testing.T) {
	for _, c := range []struct {
		err                      error
		refused, denied, missing bool
	}{
		{&probe.Error{Op: "open", Errno: int(syscall.EROFS), Message: "Read-only file system"}, true, true, false},
		{&probe.Error{Op: "open", Errno: int(syscall.ENOENT), Message: "No such file or directory"}, true, false, true},
		{&probe.Error{Op: "open", Message: "no such verb"}, false, false, false},
		{probe.ErrEnded, false, false, false},
		{syscall.EACCES, false, false, false}, // of the walk's own process
		{syscall.ENOENT, false, false, false},
		{nil, false, false, false},
	} {
		if Refused(c.err) != "" != c.refused || Denied(c.err) != "" != c.denied || Missing(c.err) != "" != c.missing {
			t.Errorf("%v: %q, %q, %q", c.err, Refused(c.err), Denied(c.err), Missing(c.err))
		}
	}
}

func TestListing(t *testing.T) {
	for mode, want := range map[uint32]string{
		0o644: "-rw-r--r--", 0o4755: "-rwsr-xr-x", 0o4644: "-rwSr--r--", 0o2770: "-rwxrws---", 0o1777: "-rwxrwxrwt", 0o1776: "-rwxrwxrwT",
	} {
		if got := Listing("f", sandbox.File{Mode: mode}); got != want+" uid 0 gid 0 f" {
			t.Errorf("%o: %s, want %s", mode, got, want)
		}
	}
}

func TestOnVolume(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{"p.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /data/}]}], volumes: [{name: v, emptyDir: {}}]}\n")})
	if err != nil {
		t.Fatal(err)
	}
	a.Seen.Images = map[string]app.ImageFacts{"i": {Volumes: []string{"/var/lib/x"}}}
	c := Container(&sandbox.Scene{App: a, Target: sandbox.Target{Workload: "pod/p", Container: "c"}})
	if c == nil {
		t.Fatal("no container")
	}
	for dir, want := range map[string]bool{"/data": true, "/data/x": true, "/database": false, "/": false, "/var/lib/x/y": true, "/var/lib": false} {
		if OnVolume(a, c, dir) != want {
			t.Errorf("%s: not %v", dir, want)
		}
	}
}
