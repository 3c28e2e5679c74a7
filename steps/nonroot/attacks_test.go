package nonroot

import (
	"errors"
	"syscall"
	"testing"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// What tools and the kernel really say, as recorded from runs.
const (
	aptDenied = "E: Could not open lock file /var/lib/dpkg/lock-frontend - open (13: Permission denied)\n" +
		"E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), are you root?\n" +
		"exit status 100\n"
	aptDone      = "Setting up openssh-server (1:10.0p1-7) ...\nSetting up ssh (1:10.0p1-7) ...\nProcessing triggers for libc-bin (2.41-12) ...\n"
	aptNoMirror  = "Err:1 http://deb.debian.org/debian trixie InRelease\n  Could not resolve 'deb.debian.org'\nW: Failed to fetch http://deb.debian.org/debian/dists/trixie/InRelease  Could not resolve 'deb.debian.org'\n"
	aptNoPackage = "E: Unable to locate package ssh\nexit status 100\n"
	notFound     = "exec: \"cat\": executable file not found in $PATH\n"
)

func TestJudgeInstall(t *testing.T) {
	for _, c := range []struct {
		name, update, install string
		installed             bool
		want                  step.Verdict // "" for an error
		evidence              string
	}{
		{"installed", "", aptDone, true, step.Succeeded, "Setting up openssh-server (1:10.0p1-7) ...\nSetting up ssh (1:10.0p1-7) ..."},
		{"denied", aptDenied, aptDenied, false, step.Blocked, aptDenied[:len(aptDenied)-1]},
		{"said so without doing it", "", aptDone, false, "", ""},
		{"no mirror", aptNoMirror, aptNoPackage, false, "", ""},
		{"hole without an answer", "", "", false, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := judgeInstall(c.update, c.install, c.installed)
			expect(t, out, err, c.want, c.evidence)
		})
	}
}

func TestJudgeShadow(t *testing.T) {
	for _, c := range []struct {
		name, out string
		want      step.Verdict
		evidence  string
	}{
		{"read", "root:*:20000:0:99999:7:::\ndaemon:*:20000:0:99999:7:::\n", step.Succeeded, "root:*:20000:0:99999:7:::"},
		{"a hash stays out", "root:$y$j9T$abcdef:20000:0:99999:7:::\n", step.Succeeded, "root:(hash):20000:0:99999:7:::"},
		{"denied", "cat: /etc/shadow: Permission denied\nexit status 1\n", step.Blocked, "cat: /etc/shadow: Permission denied"},
		{"not started", "pipe2: operation not permitted\n", step.Blocked, "pipe2: operation not permitted"},
		{"no cat", notFound, "", ""},
		{"no such file", "cat: /etc/shadow: No such file or directory\nexit status 1\n", "", ""},
		{"nothing", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := judgeShadow(c.out)
			expect(t, out, err, c.want, c.evidence)
		})
	}
}

func TestJudgeOverwrite(t *testing.T) {
	eacces := &probe.Error{Op: "open", Path: "/usr/bin/env", Errno: int(syscall.EACCES), Message: "Permission denied"}
	out, err := judgeOverwrite(nil, true, "F")
	expect(t, out, err, step.Succeeded, "on the node: F, begins with the attacker's bytes")
	out, err = judgeOverwrite(eacces, false, "F")
	expect(t, out, err, step.Blocked, "open /usr/bin/env: Permission denied\non the node: F, unchanged")
	out, err = judgeOverwrite(nil, false, "F")
	expect(t, out, err, "", "")
}

func TestJudgeSetuid(t *testing.T) {
	out, err := judgeSetuid("/v/x", sandbox.File{Mode: 0o4755})
	expect(t, out, err, step.Succeeded, "on the node: -rwsr-xr-x uid 0 gid 0 /v/x")
	out, err = judgeSetuid("/v/x", sandbox.File{UID: 1234, GID: 4444, Mode: 0o4755})
	expect(t, out, err, step.Blocked, "on the node: -rwsr-xr-x uid 1234 gid 4444 /v/x")
	out, err = judgeSetuid("/v/x", sandbox.File{Mode: 0o755})
	expect(t, out, err, "", "")
}

// TestOnlyTheKernelDenies has a probe that went away never count as blocked.
func TestOnlyTheKernelDenies(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{&probe.Error{Op: "open", Errno: int(syscall.EROFS)}, true},
		{&probe.Error{Op: "open", Errno: int(syscall.ENOENT)}, false},
		{&probe.Error{Op: "open", Message: "unknown verb"}, false},
		{probe.ErrEnded, false},
		{syscall.EACCES, false}, // of the walk's own process
	} {
		if got := step.Denied(c.err) != ""; got != c.want {
			t.Errorf("denied(%v) = %v", c.err, got)
		}
	}
}

// expect fails t unless out is a verdict with that evidence, or, where want is
// "", err says why there is none.
func expect(t *testing.T, out step.Outcome, err error, want step.Verdict, evidence string) {
	t.Helper()
	if want == "" {
		if err == nil || out.Verdict != "" || errors.Is(err, syscall.EACCES) {
			t.Errorf("got %+v, %v; want an error alone", out, err)
		}
		return
	}
	if err != nil || out.Verdict != want || out.Evidence != evidence {
		t.Errorf("got %s %q, %v; want %s %q", out.Verdict, out.Evidence, err, want, evidence)
	}
}
