package capabilities

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path"
	"strings"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: what single powers of root's are good for, inside a
// container that has nothing but the runtime's default set.
var attacks = []step.Attack{
	{
		Name:      "raw-socket",
		Goal:      "send the neighbour a packet that seems to come from the cluster's name server",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.CodeInside, sandbox.Attackers},
		Run:       rawSocket,
	},
	{
		Name:      "change-owner",
		Goal:      "give a file to another user",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Run:       changeOwner,
	},
	{
		Name:      "make-device",
		Goal:      "make a device node, the door to a device of the host's",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Run:       makeDevice,
	},
}

// patience is how long the neighbour waits for the packet; one that comes takes
// milliseconds.
const patience = time.Second

// tries is how often the packet is sent: one may be lost by itself.
const tries = 3

// rawSocket sends a packet with somebody else's address in front.
func rawSocket(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	if s.Neighbour == nil {
		return step.Outcome{}, errors.New("there is no neighbour")
	}
	var conf probe.ReadResult
	if err := s.Foothold.Code(ctx, probe.Read, probe.ReadArgs{Path: "/etc/resolv.conf"}, &conf); err != nil {
		return step.Outcome{}, err
	}
	server, err := nameServer(string(conf.Data))
	if err != nil {
		return step.Outcome{}, err
	}
	return send(ctx, s, netip.AddrPortFrom(server, 53).String())
}

// send sends the neighbour packets that seem to come from source.
func send(ctx context.Context, s *sandbox.Scene, source string) (step.Outcome, error) {
	l, err := s.Neighbour.ListenPacket(ctx, "udp", net.JoinHostPort(s.Neighbour.Addr(), "0"))
	if err != nil {
		return step.Outcome{}, err
	}
	defer l.Close()
	word := fmt.Sprintf("road %d", time.Now().UnixNano())
	packet := probe.RawArgs{Source: source, Dest: l.LocalAddr().String(), Data: []byte(word)}
	for range tries {
		if err := s.Foothold.Code(ctx, probe.RawSend, packet, nil); err != nil {
			return step.Denial(err)
		}
		if out, err := receive(l, source, word); err != nil || out.Verdict == step.Succeeded {
			return out, err
		}
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("sent %d times, and the neighbour at %s saw nothing for %s each", tries, l.LocalAddr(), patience)}, nil
}

// receive waits for the packet. Where none comes there is no verdict.
func receive(l net.PacketConn, source, word string) (step.Outcome, error) {
	if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return step.Outcome{}, err
	}
	buf := make([]byte, 1500)
	for {
		n, from, err := l.ReadFrom(buf)
		var late net.Error
		switch {
		case errors.As(err, &late) && late.Timeout():
			return step.Outcome{}, nil
		case err != nil:
			return step.Outcome{}, err
		case string(buf[:n]) == word && from.String() == source:
			return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("received by the neighbour at %s: a packet from %s", l.LocalAddr(), from)}, nil
		}
	}
}

// nameServer finds the first IPv4 name server in the text of resolv.conf.
func nameServer(conf string) (netip.Addr, error) {
	for line := range strings.Lines(conf) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			if a, err := netip.ParseAddr(f[1]); err == nil && a.Is4() {
				return a, nil
			}
		}
	}
	return netip.Addr{}, errors.New("/etc/resolv.conf names no IPv4 name server")
}

// somebody is a user whom no image knows.
const somebody = 42424

// changeOwner gives a file away: what an attacker does to a file that only its
// owner may read, the other way around.
func changeOwner(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	if s.Volume == "" {
		return step.Outcome{}, errors.New("the container has no volume shared with the node")
	}
	name := path.Join(s.Volume, "road-owner")
	if err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Data: []byte("x")}, nil); err != nil {
		return step.Outcome{}, err
	}
	defer func() { err = errors.Join(err, remove(ctx, s, name)) }()
	was, err := s.Node.Stat(name)
	if err != nil {
		return step.Outcome{}, err
	}
	refused := s.Foothold.Code(ctx, probe.Chown, probe.ChownArgs{Path: name, UID: somebody, GID: -1}, nil)
	is, err := s.Node.Stat(name)
	if err != nil {
		return step.Outcome{}, err
	}
	return judgeOwner(refused, was.UID != is.UID, step.Listing(name, is))
}

// judgeOwner says what the refusal and the owner on the node mean.
func judgeOwner(err error, changed bool, file string) (step.Outcome, error) {
	if changed {
		return step.Outcome{Verdict: step.Succeeded, Evidence: "on the node: " + file}, nil
	}
	if err == nil {
		return step.Outcome{}, errors.New("chown was answered without an error, and the node sees the old owner")
	}
	return step.Denial(err)
}

// makeDevice makes the node of /dev/null, which harms nobody. What counts is that
// the kernel makes it: no check asks which device it is.
func makeDevice(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	if s.Volume == "" {
		return step.Outcome{}, errors.New("the container has no volume shared with the node")
	}
	name := path.Join(s.Volume, "road-device")
	if err := s.Foothold.Code(ctx, probe.Mknod, probe.MknodArgs{Path: name, Kind: "char", Major: 1, Minor: 3}, nil); err != nil {
		return step.Denial(err)
	}
	defer func() { err = errors.Join(err, remove(ctx, s, name)) }()
	f, err := s.Node.Stat(name)
	if err != nil {
		return step.Outcome{}, err
	}
	if !f.Device {
		return step.Outcome{}, fmt.Errorf("the node sees no device: %s", step.Listing(name, f))
	}
	return step.Outcome{Verdict: step.Succeeded, Evidence: "on the node: " + step.Listing(name, f)}, nil
}

func remove(ctx context.Context, s *sandbox.Scene, name string) error {
	return step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: name})
}
