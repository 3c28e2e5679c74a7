package noescalation

import (
	"context"
	"testing"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

func TestJudgeMade(t *testing.T) {
	for _, c := range []struct {
		helper, made int
		want         step.Verdict
	}{
		{0, 0, step.Succeeded},
		{0, 1234, step.Blocked},
		{100000, 100000, step.Succeeded}, // root of a user namespace
		{100000, 101234, step.Blocked},
	} {
		if out := judgeMade(1234, sandbox.File{UID: c.helper}, sandbox.File{UID: c.made}, "H", "M"); out.Verdict != c.want || out.Evidence == "" {
			t.Errorf("%+v: %+v", c, out)
		}
	}
}

func TestJudgeSocket(t *testing.T) {
	for _, c := range []struct {
		status int
		said   string
		want   step.Verdict // "" for an error
	}{
		{0, "", step.Succeeded},
		{1, "socket family 2: Operation not permitted\n", step.Blocked},
		{1, "socket family 2: Address family not supported by protocol\n", ""},
		{2, "usage: road-probe\n", ""},
		{137, "", ""},
	} {
		out, err := judgeSocket(1234, probe.ExecResult{Status: c.status, Output: c.said}, "helper")
		if out.Verdict != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: %+v, %v", c, out, err)
		}
	}
}

func TestEffectiveUser(t *testing.T) {
	if uid, err := effectiveUser("Name:\tx\nUid:\t1\t1234\t3\t4\nGid:\t0\t0\t0\t0\n"); err != nil || uid != 1234 {
		t.Errorf("got %d, %v", uid, err)
	}
	if _, err := effectiveUser(""); err == nil {
		t.Error("an empty status has a user")
	}
}

// TestWithoutTheWorld has an attack that lacks what it needs be unproven.
func TestWithoutTheWorld(t *testing.T) {
	for _, a := range attacks {
		if out, err := a.Run(context.Background(), &sandbox.Scene{}); err == nil {
			t.Errorf("%s: %+v", a.Name, out)
		}
	}
}
