package step

import (
	"context"
	"fmt"
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

// TestOnlyTheKernelDenies has a probe that went away never count as blocked.
func TestOnlyTheKernelDenies(t *testing.T) {
	out, err := Denial(&probe.Error{Op: "open", Path: "/app/x", Errno: int(syscall.EROFS), Message: "Read-only file system"})
	if err != nil || out.Verdict != Blocked || out.Evidence != "open /app/x: Read-only file system" {
		t.Errorf("%+v, %v", out, err)
	}
	for _, e := range []error{probe.ErrEnded, syscall.EPERM, &probe.Error{Op: "open", Errno: int(syscall.ENOSPC)}, &probe.Error{Op: "socket", Errno: int(syscall.EAFNOSUPPORT)}, &probe.Error{Op: "x", Message: "no such verb"}} {
		if out, err := Denial(e); err == nil || out.Verdict != "" {
			t.Errorf("%v: %+v, %v", e, out, err)
		}
	}
}

// TestOnlyTheConnectionGoesUnanswered has no time-out but that of connect say that
// somebody does not answer.
func TestOnlyTheConnectionGoesUnanswered(t *testing.T) {
	late := func(op string) error {
		return &probe.Error{Op: op, Errno: int(syscall.ETIMEDOUT), Message: "Connection timed out"}
	}
	if Unanswered(fmt.Errorf("call: %w", late("connect"))) != "connect: Connection timed out" {
		t.Error("a connection that did not come about was answered")
	}
	for _, err := range []error{late("read"), late("write"), context.DeadlineExceeded, syscall.ETIMEDOUT, probe.ErrEnded, nil,
		fmt.Errorf("the probe could not start: %w", context.DeadlineExceeded)} {
		if line := Unanswered(err); line != "" {
			t.Errorf("%v: %q", err, line)
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
