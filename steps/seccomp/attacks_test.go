package seccomp

import (
	"runtime"
	"strings"
	"syscall"
	"testing"

	"road/internal/probe"
	"road/internal/step"
)

func said(name string, errno syscall.Errno) answer {
	return answer{name, probe.SyscallResult{Errno: int(errno), Message: errno.Error()}}
}

func TestJudgeAnswers(t *testing.T) {
	for _, c := range []struct {
		answers []answer
		want    step.Verdict
	}{
		{[]answer{said("mount", syscall.EFAULT), said("setns", syscall.EPERM)}, step.Succeeded},
		{[]answer{said("mount", syscall.EPERM), said("clone3", syscall.ENOSYS)}, step.Blocked},
		{[]answer{said("personality", 0), said("clone3", syscall.ENOSYS)}, step.Succeeded},
	} {
		if out := judgeAnswers(c.answers); out.Verdict != c.want {
			t.Errorf("%v: %+v", c.answers, out)
		}
	}
	out := judgeAnswers([]answer{said("mount", syscall.EFAULT), said("setns", syscall.EPERM)})
	if !strings.Contains(out.Evidence, "1 of 2") || !strings.Contains(out.Evidence, "mount: bad address") || strings.Contains(out.Evidence, "setns") {
		t.Error(out.Evidence)
	}
}

// TestOracles has every oracle's number known, and none asked twice.
func TestOracles(t *testing.T) {
	seen := map[int]string{}
	for _, o := range oracles {
		for _, arch := range []string{"amd64", "arm64"} {
			if o.numbers[arch] == 0 {
				t.Errorf("%s has no number on %s", o.name, arch)
			}
		}
		n := o.numbers[runtime.GOARCH]
		if seen[n] != "" {
			t.Errorf("%s and %s are both %d", o.name, seen[n], n)
		}
		seen[n] = o.name
	}
}

func TestJudgeMap(t *testing.T) {
	if out, err := judgeMap("         0       1234          1\n", 7); err != nil || out.Verdict != step.Succeeded || out.Evidence != "on the node: /proc/7/uid_map: inside 0, outside 1234" {
		t.Errorf("%+v, %v", out, err)
	}
	for _, text := range []string{"", "0 0 4294967295\n", "1 1 1\n"} {
		if out, err := judgeMap(text, 7); err == nil {
			t.Errorf("%q: %+v", text, out)
		}
	}
}

func TestJudgeSockets(t *testing.T) {
	for _, c := range []struct {
		given, forbidden bool
		want             step.Verdict
	}{{true, false, step.Succeeded}, {true, true, step.Succeeded}, {false, true, step.Blocked}, {false, false, ""}} {
		if out, err := judgeSockets(c.given, c.forbidden, "x"); out.Verdict != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %+v, %v", c, out, err)
		}
	}
}

func TestJudgeKeys(t *testing.T) {
	list := []string{"1ee5ea38 I--Q---     1 perm 3f010000  1234  4444 user      road-1: 20", "00000001 I------ 1 perm 1f0b0000 0 0 keyring .x"}
	if out, err := judgeKeys(list, 0x1ee5ea38, "road-1"); err != nil || out.Verdict != step.Succeeded || !strings.Contains(out.Evidence, list[0]) {
		t.Errorf("%+v, %v", out, err)
	}
	for _, c := range []struct {
		serial int
		name   string
	}{{2, "road-1"}, {0x1ee5ea38, "road-2"}} {
		if out, err := judgeKeys(list, c.serial, c.name); err == nil {
			t.Errorf("%+v: %+v", c, out)
		}
	}
}

// TestOnlyTheKernelDenies has a probe that went away never count as blocked.
func TestOnlyTheKernelDenies(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS} {
		e := &probe.Error{Op: "fork/exec", Path: "/x", Errno: int(errno), Message: "M"}
		if out, err := denied(e); err != nil || out.Verdict != step.Blocked || out.Evidence != "fork/exec /x: M" {
			t.Errorf("%+v, %v", out, err)
		}
	}
	for _, e := range []error{probe.ErrEnded, syscall.EPERM, syscall.ENOSYS, &probe.Error{Op: "x", Errno: int(syscall.ENOSPC)}} {
		if out, err := denied(e); err == nil || out.Verdict != "" {
			t.Errorf("%v: %+v, %v", e, out, err)
		}
	}
}
