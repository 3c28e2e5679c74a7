package seccomp

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: the parts of the kernel that applications never use
// and that exploits begin with.
var attacks = []step.Attack{
	{
		Name:      "kernel-surface",
		Goal:      "reach code of the kernel that only administration needs",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.CodeInside, sandbox.Seccomp},
		Run:       kernelSurface,
	},
	{
		Name:      "new-user-namespace",
		Goal:      "become root of a namespace of one's own, where most exploits of the kernel start",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside, sandbox.Seccomp},
		Run:       newUserNamespace,
	},
	{
		Name:      "vsock-and-alg-sockets",
		Goal:      "open a socket to the hypervisor, or to the kernel's ciphers",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.CodeInside, sandbox.Seccomp},
		Run:       oddSockets,
	},
	{
		Name:      "keyring",
		Goal:      "leave a key in the kernel, which has one keyring for all containers of a user",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside, sandbox.Seccomp},
		Run:       keyring,
	},
}

// kernelSurface asks every oracle. One answer is enough to succeed.
func kernelSurface(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	var answers []answer
	for _, o := range oracles {
		number, ok := o.numbers[runtime.GOARCH] // the probe is built for the machine that road runs on
		if !ok {
			return step.Outcome{}, fmt.Errorf("the numbers of system calls on %s are not known", runtime.GOARCH)
		}
		var r probe.SyscallResult
		if err := s.Foothold.Code(ctx, probe.Syscall, probe.SyscallArgs{Number: number, Args: o.args}, &r); err != nil {
			return step.Outcome{}, err
		}
		answers = append(answers, answer{o.name, r})
	}
	return judgeAnswers(answers), nil
}

// An answer is the kernel's to one call.
type answer struct {
	name string
	probe.SyscallResult
}

// refused says whether it is a filter's: EPERM, or ENOSYS, which runtimes give
// for calls that are newer than the filter.
func (a answer) refused() bool {
	return a.Errno == int(syscall.EPERM) || a.Errno == int(syscall.ENOSYS)
}

// String gives it as strace would, without arguments.
func (a answer) String() string {
	if a.Errno == 0 {
		return a.name + ": done"
	}
	return a.name + ": " + a.Message
}

// judgeAnswers says what the answers mean together.
func judgeAnswers(answers []answer) step.Outcome {
	var answered, refused []string
	for _, a := range answers {
		if a.refused() {
			refused = append(refused, a.String())
		} else {
			answered = append(answered, a.String())
		}
	}
	if len(answered) == 0 {
		return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("none of %d answered:\n%s", len(answers), strings.Join(refused, "\n"))}
	}
	evidence := fmt.Sprintf("%d of %d answered by the kernel:\n%s", len(answered), len(answers), strings.Join(answered, "\n"))
	return step.Outcome{Verdict: step.Succeeded, Evidence: evidence}
}

// newUserNamespace starts a child in a user namespace, and has the node read who
// it is there.
func newUserNamespace(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	var child probe.UserNSResult
	if err := s.Foothold.Code(ctx, probe.UserNS, nil, &child); err != nil {
		return denied(err)
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Release, probe.Held{Hold: child.Hold}))
	}()
	name := fmt.Sprintf("/proc/%d/uid_map", child.PID)
	text, err := s.Node.ReadFile(name, 1000)
	if err != nil {
		return step.Outcome{}, err
	}
	return judgeMap(string(text), child.PID)
}

// judgeMap says what the child's map means: its user 0 must be one user outside.
func judgeMap(text string, pid int) (step.Outcome, error) {
	f := strings.Fields(text)
	if len(f) != 3 || f[0] != "0" || f[2] != "1" {
		return step.Outcome{}, fmt.Errorf("the child is in no namespace of its own: %q", strings.TrimSpace(text))
	}
	return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("on the node: /proc/%d/uid_map: inside %s, outside %s", pid, f[0], f[1])}, nil
}

// sockets are the two families that lead out of the network: to the hypervisor,
// and into the kernel's ciphers. Each is closed at once, never bound or connected.
var sockets = []struct {
	name string
	args probe.SocketArgs
}{
	{"AF_VSOCK", probe.SocketArgs{Family: 40, Type: syscall.SOCK_STREAM}},
	{"AF_ALG", probe.SocketArgs{Family: 38, Type: syscall.SOCK_SEQPACKET}},
}

// oddSockets asks for one of each.
func oddSockets(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	var said []string
	given, forbidden := false, false
	for _, k := range sockets {
		err := s.Foothold.Code(ctx, probe.Socket, k.args, nil)
		switch {
		case err == nil:
			given = true
			said = append(said, k.name+": the kernel gave a socket")
		case step.Refused(err) != "":
			forbidden = forbidden || step.Denied(err) != ""
			said = append(said, k.name+": "+step.Refused(err))
		default:
			return step.Outcome{}, err
		}
	}
	return judgeSockets(given, forbidden, strings.Join(said, "\n"))
}

// judgeSockets tells a filter from a kernel that has neither family.
func judgeSockets(given, forbidden bool, said string) (step.Outcome, error) {
	switch {
	case given:
		return step.Outcome{Verdict: step.Succeeded, Evidence: said}, nil
	case forbidden:
		return step.Outcome{Verdict: step.Blocked, Evidence: said}, nil
	}
	return step.Outcome{}, fmt.Errorf("this kernel has neither family: %s", strings.ReplaceAll(said, "\n", "; "))
}

// keyring leaves a key in the session's keyring, else in the process's.
func keyring(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	name := fmt.Sprintf("road-%d", time.Now().UnixNano())
	var refused []string
	for _, ring := range []string{"session", "process"} {
		var key probe.KeyResult
		err := s.Foothold.Code(ctx, probe.AddKey, probe.KeyArgs{Keyring: ring, Description: name, Data: []byte("left by the attacker")}, &key)
		if err == nil {
			list, err := s.Node.Keys()
			if err != nil {
				return step.Outcome{}, err
			}
			return judgeKeys(list, key.Serial, name)
		}
		if step.Denied(err) == "" {
			return step.Outcome{}, err
		}
		refused = append(refused, ring+" keyring: "+step.Denied(err))
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(refused, "\n")}, nil
}

// judgeKeys looks for the key in the host's list.
func judgeKeys(list []string, serial int, name string) (step.Outcome, error) {
	for _, line := range list {
		if strings.HasPrefix(line, fmt.Sprintf("%08x ", serial)) && strings.Contains(line, name) {
			return step.Outcome{Verdict: step.Succeeded, Evidence: "on the node, in /proc/keys: " + line}, nil
		}
	}
	return step.Outcome{}, fmt.Errorf("the kernel gave key %08x, and the host's list of %d keys lacks it", serial, len(list))
}

// denied is step.Denial for what a filter answers: ENOSYS too, for calls that it
// does not know.
func denied(err error) (step.Outcome, error) {
	if line := step.Refused(err); line != "" && errors.Is(err, syscall.ENOSYS) {
		return step.Outcome{Verdict: step.Blocked, Evidence: line}, nil
	}
	return step.Denial(err)
}
