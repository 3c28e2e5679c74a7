package noescalation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"syscall"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: a worker without power meets a program that gives
// some. Nearly every image carries such programs (su, mount, ping), and any
// volume may. The helper that the sandbox puts on a volume stands for them, so
// that the attack depends on no image; that the worker may run it, and what it
// then can do, is the container's own.
var attacks = []step.Attack{
	{
		Name:      "setuid-helper",
		Goal:      "become root by a setuid program that lies around",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Run:       setuidHelper,
	},
	{
		Name:      "file-capability-helper",
		Goal:      "open a raw socket by a program with a file capability that lies around",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Run:       fileCapabilityHelper,
	},
}

// nobody is the user of an unprivileged worker in a container that runs as root.
const nobody = 65534

// A worker runs programs as a user without power: as the application where that
// is no root, else as a child that became nobody.
type worker struct {
	s     *sandbox.Scene
	uid   int
	child *int // the user to become first; nil for none
}

// hire finds out who the worker is. An application as root that cannot become
// anybody else has no such worker.
func hire(ctx context.Context, s *sandbox.Scene) (*worker, error) {
	var status string
	if err := s.Foothold.Code(ctx, probe.Status, nil, &status); err != nil {
		return nil, err
	}
	uid, err := effectiveUser(status)
	if err != nil {
		return nil, err
	}
	if uid != 0 {
		return &worker{s, uid, nil}, nil
	}
	w := &worker{s, nobody, new(int)}
	*w.child = nobody
	// The probe itself, without any power of its own, tells whether the change of
	// user works: what is refused later is the helper.
	plain, err := s.Plant(sandbox.Helper{Name: "road-plain", Mode: 0o755})
	if err != nil {
		return nil, err
	}
	_, err = w.run(ctx, plain.Path, probe.Status, nil)
	if err := errors.Join(err, plain.Remove()); err != nil {
		return nil, fmt.Errorf("root in the container cannot become an unprivileged worker: %w", err)
	}
	return w, nil
}

// effectiveUser finds the effective user in the text of /proc/PID/status.
func effectiveUser(status string) (int, error) {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
			return strconv.Atoi(f[2])
		}
	}
	return 0, errors.New("no Uid in /proc/self/status")
}

// run has the worker start a copy of the probe to do one thing.
func (w *worker) run(ctx context.Context, program, verb string, args any) (probe.ExecResult, error) {
	argv := []string{program, verb}
	if args != nil {
		b, err := json.Marshal(args)
		if err != nil {
			return probe.ExecResult{}, err
		}
		argv = append(argv, string(b))
	}
	var out probe.ExecResult
	err := w.s.Foothold.Code(ctx, probe.Exec, probe.ExecArgs{Argv: argv, UID: w.child, GID: w.child}, &out)
	if err == nil && out.TimedOut {
		err = fmt.Errorf("%s did not end", program)
	}
	return out, err
}

// setuidHelper has a setuid copy of the probe, owned by root, make a file.
func setuidHelper(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	if s.Volume == "" || s.Plant == nil {
		return step.Outcome{}, errors.New("the container has no volume shared with the node")
	}
	w, err := hire(ctx, s)
	if err != nil {
		return step.Outcome{}, err
	}
	helper, err := s.Plant(sandbox.Helper{Name: "road-setuid-helper", Mode: 0o4755})
	if err != nil {
		return step.Outcome{}, err
	}
	defer func() { err = errors.Join(err, helper.Remove()) }()
	is, err := s.Node.Stat(helper.Path)
	if err != nil {
		return step.Outcome{}, err
	}
	made := path.Join(s.Volume, "road-made")
	run, err := w.run(ctx, helper.Path, probe.Write, probe.WriteArgs{Path: made, Data: []byte("made by a helper\n")})
	if err != nil {
		return step.Denial(err)
	}
	f, err := s.Node.Stat(made)
	if err != nil {
		return step.Outcome{}, fmt.Errorf("the helper made no file: exit status %d: %s", run.Status, strings.TrimSpace(run.Output))
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: made}))
	}()
	return judgeMade(w.uid, is, f, step.Listing(helper.Path, is), step.Listing(made, f)), nil
}

// judgeMade says what the owner of the file on the node means.
func judgeMade(worker int, helper, made sandbox.File, helperLine, madeLine string) step.Outcome {
	out := step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("on the node: %s\nrun by uid %d, it made: %s", helperLine, worker, madeLine)}
	if made.UID == helper.UID {
		out.Verdict = step.Succeeded
	}
	return out
}

// netRaw is the number of CAP_NET_RAW.
const netRaw = 13

// fileCapabilityHelper has a copy of the probe that carries CAP_NET_RAW open a
// raw socket, as ping does.
func fileCapabilityHelper(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	if s.Volume == "" || s.Plant == nil {
		return step.Outcome{}, errors.New("the container has no volume shared with the node")
	}
	w, err := hire(ctx, s)
	if err != nil {
		return step.Outcome{}, err
	}
	helper, err := s.Plant(sandbox.Helper{Name: "road-capable-helper", Mode: 0o755, Capabilities: 1 << netRaw})
	if err != nil {
		return step.Outcome{}, err
	}
	defer func() { err = errors.Join(err, helper.Remove()) }()
	run, err := w.run(ctx, helper.Path, probe.Socket, probe.SocketArgs{Family: syscall.AF_INET, Type: syscall.SOCK_RAW, Protocol: syscall.IPPROTO_RAW})
	if err != nil {
		return step.Denial(err)
	}
	return judgeSocket(w.uid, run, helper.Path)
}

// judgeSocket says what the helper's end means. The word of the kernel that it
// repeats is the only refusal that counts.
func judgeSocket(worker int, run probe.ExecResult, helper string) (step.Outcome, error) {
	said := strings.TrimSpace(run.Output)
	switch {
	case run.Status == 0:
		return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("uid %d ran %s (cap_net_raw=ep): the kernel gave it a raw socket", worker, helper)}, nil
	case strings.Contains(said, syscall.EPERM.Error()) || strings.Contains(said, "Operation not permitted"):
		return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("uid %d ran %s (cap_net_raw=ep): %s", worker, helper, said)}, nil
	}
	return step.Outcome{}, fmt.Errorf("the helper ended with status %d: %s", run.Status, said)
}
