package capabilities

import (
	"context"
	"net"
	"strings"
	"syscall"
	"testing"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

var eperm = &probe.Error{Op: "socket", Path: "SOCK_RAW", Errno: int(syscall.EPERM), Message: "Operation not permitted"}

// TestOnlyTheKernelDenies has a probe that went away never count as blocked.
func TestOnlyTheKernelDenies(t *testing.T) {
	out, err := denied(eperm)
	if err != nil || out.Verdict != step.Blocked || out.Evidence != "socket SOCK_RAW: Operation not permitted" {
		t.Errorf("%+v, %v", out, err)
	}
	for _, e := range []error{probe.ErrEnded, syscall.EPERM, &probe.Error{Op: "socket", Errno: int(syscall.EAFNOSUPPORT)}} {
		if out, err := denied(e); err == nil || out.Verdict != "" {
			t.Errorf("%v: %+v, %v", e, out, err)
		}
	}
}

func TestNameServer(t *testing.T) {
	if a, err := nameServer("search x\nnameserver fd00::1\nnameserver\nnameserver 10.96.0.10\n"); err != nil || a.String() != "10.96.0.10" {
		t.Errorf("%v, %v", a, err)
	}
	if a, err := nameServer("nameserver x\n"); err == nil {
		t.Error(a)
	}
}

// TestReceive has a packet of somebody else's, or of another address, not count.
func TestReceive(t *testing.T) {
	listen := func() net.PacketConn {
		l, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	here, there := listen(), listen()
	for _, text := range []string{"noise", "word"} {
		if _, err := there.WriteTo([]byte(text), here.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	out, err := receive(here, there.LocalAddr().String(), "word")
	if err != nil || out.Verdict != step.Succeeded || !strings.Contains(out.Evidence, "a packet from "+there.LocalAddr().String()) {
		t.Errorf("%+v, %v", out, err)
	}
	if _, err := there.WriteTo([]byte("word"), here.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	if out, err := receive(here, "10.96.0.10:53", "word"); err != nil || out.Verdict != step.Blocked {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestJudgeOwner(t *testing.T) {
	if out, err := judgeOwner(nil, true, "F"); err != nil || out.Verdict != step.Succeeded {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := judgeOwner(eperm, false, "F"); err != nil || out.Verdict != step.Blocked {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err := judgeOwner(nil, false, "F"); err == nil {
		t.Errorf("%+v", out)
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
