package nonroot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"syscall"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: what root in a container is good for. Each is judged
// by what the node sees, or by a line that only its success brings; what could
// not be tried is an error, and so unproven.
var attacks = []step.Attack{
	{
		Name:      "install-package",
		Goal:      "install ssh into the running container",
		Transport: step.Command,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.PackageMirror},
		OwnPod:    true,
		Run:       installPackage,
	},
	{
		Name:      "overwrite-system-binary",
		Goal:      "put another program in the place of a system binary",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		OwnPod:    true,
		Run:       overwriteSystemBinary,
	},
	{
		Name:      "read-shadow",
		Goal:      "read the password file of the image",
		Transport: step.Command,
		Run:       readShadow,
	},
	{
		Name:      "host-root-file",
		Goal:      "leave a setuid program of the host's root on a shared volume",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Run:       hostRootFile,
	},
	{
		Name:      "drop-in-dev",
		Goal:      "save a program in /dev and run it, whatever the root file system allows",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Run:       dropInDev,
	},
}

// sshPath is where Debian's openssh-client has its program.
const sshPath = "/usr/bin/ssh"

// installPackage is the seed of this road: apt-get through the app's own hole.
func installPackage(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	if _, err := s.Node.Stat(sshPath); err == nil {
		return step.Outcome{}, fmt.Errorf("%s is in the image already", sshPath)
	}
	update, err := s.Foothold.Command(ctx, "apt-get", "update")
	if err != nil {
		return step.Outcome{}, err
	}
	if line := step.NotFound(update, "apt-get"); line != "" && !step.HasProgram(s.Node, "apt-get") {
		return step.Outcome{Verdict: step.Blocked, Evidence: line}, nil
	}
	install, err := s.Foothold.Command(ctx, "apt-get", "install", "-y", "ssh")
	if err != nil {
		return step.Outcome{}, err
	}
	head, err := s.Node.ReadFile(sshPath, 4)
	installed := err == nil && string(head) == "\x7fELF"
	out, err := judgeInstall(update, install, installed)
	if out.Verdict == step.Succeeded {
		f, err := s.Node.Stat(sshPath)
		if err != nil {
			return step.Outcome{}, err
		}
		out.Evidence += "\non the node: " + step.Listing(sshPath, f)
	}
	return out, err
}

// judgeInstall says what the lines of apt-get mean. The package's program, read
// by the node, decides that it succeeded; apt's own refusal that it was blocked.
func judgeInstall(update, install string, installed bool) (step.Outcome, error) {
	if installed {
		return step.Outcome{Verdict: step.Succeeded, Evidence: lastLines(setUp(install), 2)}, nil
	}
	var refused []string
	denied := false
	if said := lines(install); len(said) == 1 && notStarted(said[0]) {
		return step.Outcome{Verdict: step.Blocked, Evidence: said[0]}, nil
	}
	for _, l := range lines(install) {
		if strings.HasPrefix(l, "E: ") || strings.HasPrefix(l, "exit status ") {
			refused = append(refused, l)
			denied = denied || containsAny(l, "Permission denied", "Read-only file system", "Operation not permitted")
		}
	}
	if denied {
		return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(refused, "\n")}, nil
	}
	for _, l := range append(lines(update), lines(install)...) {
		if containsAny(l, "Could not resolve", "Could not connect", "Failed to fetch", "Temporary failure", "Unable to locate package", "no installation candidate", "Unable to fetch") {
			return step.Outcome{}, fmt.Errorf("no package mirror answers: %s", l)
		}
	}
	return step.Outcome{}, fmt.Errorf("apt-get ended without %s: %s", sshPath, lastLines(install, 1))
}

// notStarted says whether a line is a server's word that the kernel did not let it
// start a program, as under a filter that knows no such calls: "pipe2: operation
// not permitted".
func notStarted(line string) bool {
	return strings.HasSuffix(strings.ToLower(line), ": operation not permitted")
}

// setUp gives the lines in which apt-get says that ssh is there, all lines where
// it does not.
func setUp(install string) string {
	var out []string
	for _, l := range lines(install) {
		if strings.HasPrefix(l, "Setting up ") && strings.Contains(l, "ssh") {
			out = append(out, l)
		}
	}
	if len(out) == 0 {
		return install
	}
	return strings.Join(out, "\n")
}

// readShadow reads the file that only root may.
func readShadow(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	out, err := s.Foothold.Command(ctx, "cat", "/etc/shadow")
	if err != nil {
		return step.Outcome{}, err
	}
	if line := step.NotFound(out, "cat"); line != "" && !step.HasProgram(s.Node, "cat") {
		return step.Outcome{Verdict: step.Blocked, Evidence: line}, nil
	}
	return judgeShadow(out)
}

// judgeShadow says what the lines of cat mean. A password's hash stays out of
// the evidence.
func judgeShadow(out string) (step.Outcome, error) {
	for _, l := range lines(out) {
		if f := strings.Split(l, ":"); len(f) > 2 && f[0] == "root" {
			if len(f[1]) > 2 {
				f[1] = "(hash)"
			}
			return step.Outcome{Verdict: step.Succeeded, Evidence: strings.Join(f, ":")}, nil
		}
	}
	for _, l := range lines(out) {
		if strings.Contains(l, "Permission denied") || notStarted(l) {
			return step.Outcome{Verdict: step.Blocked, Evidence: l}, nil
		}
	}
	return step.Outcome{}, fmt.Errorf("cat could not be tried: %s", lastLines(out, 1))
}

// systemBinaries are tried in this order; every base but an empty one has one.
var systemBinaries = []string{"/usr/bin/env", "/bin/env", "/usr/bin/ls", "/bin/ls", "/usr/bin/cat", "/bin/cat", "/bin/busybox", "/usr/bin/openssl", "/usr/sbin/ldconfig", "/sbin/ldconfig"}

// marker is what an attacker's program holds that nothing else does.
const marker = "#!/bin/sh\n# the attacker was here\n"

// overwriteSystemBinary writes into a program that root owns.
func overwriteSystemBinary(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	var missing []string
	for _, name := range systemBinaries {
		var f probe.StatResult
		if err := s.Foothold.Code(ctx, probe.Stat, probe.Path{Path: name}, &f); err != nil {
			if line := step.Missing(err); line != "" {
				missing = append(missing, line)
			}
			if step.Refused(err) != "" {
				continue
			}
			return step.Outcome{}, err
		}
		if f.Type != "file" || f.UID != 0 || f.Mode&0o111 == 0 {
			continue
		}
		err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Data: []byte(marker)}, nil)
		if errors.Is(err, syscall.ETXTBSY) {
			continue // it runs
		}
		if err != nil && step.Denied(err) == "" {
			return step.Outcome{}, err
		}
		now, readErr := s.Node.ReadFile(name, int64(len(marker)))
		if readErr != nil {
			return step.Outcome{}, readErr
		}
		file, statErr := s.Node.Stat(name)
		if statErr != nil {
			return step.Outcome{}, statErr
		}
		return judgeOverwrite(err, bytes.Equal(now, []byte(marker)), step.Listing(name, file))
	}
	if len(missing) == len(systemBinaries) { // nothing is left of the system
		return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(missing[:2], "\n")}, nil
	}
	return step.Outcome{}, errors.New("the image has no system binary of root's that could be overwritten")
}

// judgeOverwrite says what the write's error and the bytes on the node mean.
func judgeOverwrite(err error, changed bool, file string) (step.Outcome, error) {
	switch {
	case changed:
		return step.Outcome{Verdict: step.Succeeded, Evidence: "on the node: " + file + ", begins with the attacker's bytes"}, nil
	case err != nil:
		return step.Outcome{Verdict: step.Blocked, Evidence: step.Refused(err) + "\non the node: " + file + ", unchanged"}, nil
	}
	return step.Outcome{}, errors.New("the write was answered without an error, and the node sees the old bytes")
}

// hostRootFile leaves a setuid file on a volume, as a program of the host's root
// would be left there for any user of the host to run. It holds no program.
func hostRootFile(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	if s.Volume == "" {
		return step.Outcome{}, errors.New("the container has no volume shared with the node")
	}
	name := path.Join(s.Volume, "road-setuid")
	remove := func() error { return s.Foothold.Code(ctx, probe.Remove, probe.Path{Path: name}, nil) }
	if err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Mode: 0o4755}, nil); err != nil {
		if step.Denied(err) != "" { // the file may be there without the mode
			if err := remove(); err != nil && step.Missing(err) == "" {
				return step.Outcome{}, err
			}
			return step.Outcome{Verdict: step.Blocked, Evidence: step.Denied(err)}, nil
		}
		return step.Outcome{}, err
	}
	f, err := s.Node.Stat(name)
	if err := errors.Join(err, remove()); err != nil {
		return step.Outcome{}, err
	}
	out, err := judgeSetuid(name, f)
	return step.SayWhose(s, out), err
}

// judgeSetuid says what the owner and mode on the host mean.
func judgeSetuid(name string, f sandbox.File) (step.Outcome, error) {
	if f.Mode&0o4000 == 0 {
		return step.Outcome{}, fmt.Errorf("the file on the volume is not setuid: %s", step.Listing(name, f))
	}
	out := step.Outcome{Verdict: step.Blocked, Evidence: "on the node: " + step.Listing(name, f)}
	if f.UID == 0 {
		out.Verdict = step.Succeeded
	}
	return out, nil
}

// dropInDev saves a program in /dev, which stays writable for root when the root
// file system is read-only, and runs it.
func dropInDev(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	const name = "/dev/road-tool"
	if err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Self: true, Mode: 0o755}, nil); err != nil {
		return step.Denial(err)
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: name}))
	}()
	var run probe.ExecResult
	if err := s.Foothold.Code(ctx, probe.Exec, probe.ExecArgs{Argv: []string{name, "hold"}, Background: true}, &run); err != nil {
		return step.Denial(err)
	}
	defer func() {
		if killErr := step.Clean(ctx, s.Foothold, probe.Kill, probe.KillArgs{PID: run.PID}); !errors.Is(killErr, syscall.ESRCH) {
			err = errors.Join(err, killErr)
		}
	}()
	p, found, err := step.FindProcess(ctx, s.Node, "/dev/")
	if err != nil {
		return step.Outcome{}, err
	}
	if found {
		return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("on the node: uid %d pid %d %s", p.UID, p.PID, p.Exe)}, nil
	}
	return step.Outcome{}, errors.New("the program in /dev was started, and the node sees no process of it")
}
