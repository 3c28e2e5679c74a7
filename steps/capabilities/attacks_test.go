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
	if out, err := receive(here, "10.96.0.10:53", "word"); err != nil || out.Verdict != "" {
		t.Errorf("%+v, %v", out, err)
	}
}

// A lossy container loses all but the last packet that is sent, or all.
type lossy struct {
	sandbox.Foothold
	sender net.PacketConn
	lost   int
}

func (l *lossy) Code(_ context.Context, verb string, args, into any) error {
	if verb == probe.RawSend {
		if l.lost--; l.lost >= 0 {
			return nil
		}
		raw := args.(probe.RawArgs)
		to, err := net.ResolveUDPAddr("udp", raw.Dest)
		if err != nil {
			return err
		}
		_, err = l.sender.WriteTo(raw.Data, to)
		return err
	}
	return nil
}

// A neighbour here is this machine.
type neighbour struct{ sandbox.Host }

func (neighbour) Addr() string { return "127.0.0.1" }
func (neighbour) ListenPacket(_ context.Context, network, addr string) (net.PacketConn, error) {
	return net.ListenPacket(network, addr)
}

// TestLostPacket has a packet that was lost not make the attack blocked.
func TestLostPacket(t *testing.T) {
	sender, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	inside := &lossy{sender: sender, lost: tries - 1}
	source := sender.LocalAddr().String()
	out, err := send(t.Context(), &sandbox.Scene{Foothold: inside, Neighbour: neighbour{}}, source)
	if err != nil || out.Verdict != step.Succeeded {
		t.Errorf("one came: %+v, %v", out, err)
	}
	inside.lost = tries
	out, err = send(t.Context(), &sandbox.Scene{Foothold: inside, Neighbour: neighbour{}}, source)
	if err != nil || out.Verdict != step.Blocked {
		t.Errorf("none came: %+v, %v", out, err)
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
