package readonlyroot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: what a writable root file system is good for, and
// what stays possible without one. Those of the first kind keep to the root file
// system: what lies on a volume is that volume's, and run-from-volume shows it.
var attacks = []step.Attack{
	{
		Name:      "drop-and-run",
		Goal:      "save a tool that came with a request, and run it",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Run:       dropAndRun,
	},
	{
		Name:      "overwrite-app-binary",
		Goal:      "put another program in the place of the application's own",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		OwnPod:    true,
		Run:       overwriteAppBinary,
	},
	{
		Name:      "plant-startup-file",
		Goal:      "have the next login shell in the container run the attacker's lines",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		OwnPod:    true,
		Run:       plantStartupFile,
	},
	{
		Name:      "run-from-memory",
		Goal:      "run a program that no file holds",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Open:      "a program in a memfd touches no file system; only a seccomp profile of the application's own can refuse memfd_create",
		Run:       runFromMemory,
	},
	{
		Name:      "script-in-dev-shm",
		Goal:      "save a script in /dev/shm and have the shell run it",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Open:      "/dev/shm stays writable, and noexec does not hold for what a shell reads; minimal-image closes it by taking the shell out",
		Run:       scriptInDevShm,
	},
	{
		Name:      "run-from-volume",
		Goal:      "save a tool on a volume, and run it",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside},
		Open:      "an emptyDir or a claim is there to be written, and Kubernetes has no field that mounts it noexec",
		Run:       runFromVolume,
	},
}

// rootDirs gives the directories in which a tool would be saved: the one in
// which the application runs, then those for temporary files; none on a volume.
func rootDirs(s *sandbox.Scene) ([]string, error) {
	dirs, err := step.RootDirs(s)
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, errors.New("the application's directory and those for temporary files are on volumes")
	}
	return dirs, nil
}

// dropAndRun saves a program in the first directory that takes it, and runs it.
func dropAndRun(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	dirs, err := rootDirs(s)
	if err != nil {
		return step.Outcome{}, err
	}
	var refused []string
	for _, d := range dirs {
		out, err := saveAndRun(ctx, s, path.Join(d, "road-tool"))
		if step.Missing(err) != "" {
			continue // the image has no such directory
		}
		if err != nil || out.Verdict == step.Succeeded {
			return out, err
		}
		refused = append(refused, out.Evidence)
	}
	if len(refused) == 0 {
		return step.Outcome{}, fmt.Errorf("none of %s is there", strings.Join(dirs, ", "))
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(refused, "\n")}, nil
}

// runFromVolume does the same on a volume.
func runFromVolume(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	if s.Volume == "" {
		return step.Outcome{}, errors.New("the container has no volume shared with the node")
	}
	out, err := saveAndRun(ctx, s, path.Join(s.Volume, "road-tool"))
	return step.SayWhose(s, out), err
}

// saveAndRun saves the probe's own program as name, starts it, and looks for its
// process on the node. Nothing of it stays.
func saveAndRun(ctx context.Context, s *sandbox.Scene, name string) (out step.Outcome, err error) {
	if err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Self: true, Mode: 0o755}, nil); err != nil {
		return step.Denial(err)
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: name}))
	}()
	return run(ctx, s, probe.ExecArgs{Argv: []string{name, "hold"}}, name)
}

// run starts a program that waits, looks on the node for a process whose program
// is named exe, and ends it.
func run(ctx context.Context, s *sandbox.Scene, args probe.ExecArgs, exe string) (out step.Outcome, err error) {
	args.Background = true
	var started probe.ExecResult
	if err := s.Foothold.Code(ctx, probe.Exec, args, &started); err != nil {
		return step.Denial(err)
	}
	defer func() {
		killed := step.Clean(ctx, s.Foothold, probe.Kill, probe.KillArgs{PID: started.PID})
		if !errors.Is(killed, syscall.ESRCH) {
			err = errors.Join(err, killed)
		}
	}()
	p, found, err := step.FindProcess(ctx, s.Node, exe)
	if err != nil {
		return step.Outcome{}, err
	}
	if !found {
		return step.Outcome{}, fmt.Errorf("%s was started, and the node sees no process of it", exe)
	}
	return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("on the node: uid %d pid %d %s", p.UID, p.PID, p.Exe)}, nil
}

// marker is what an attacker's program holds that nothing else does.
const marker = "#!/bin/sh\n# the attacker was here\n"

// overwriteAppBinary renames a file over the program of the container's first
// process, as an update would be put in place while it runs. Where that is refused
// and an interpreter runs, it is the application's own code that is replaced.
func overwriteAppBinary(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	list, err := s.Node.Processes()
	if err != nil {
		return step.Outcome{}, err
	}
	if len(list) == 0 {
		return step.Outcome{}, errors.New("the node sees no process of the container")
	}
	first := slices.MinFunc(list, func(a, b sandbox.Process) int { return a.Inside - b.Inside })
	if !path.IsAbs(first.Exe) {
		return step.Outcome{}, fmt.Errorf("the program of process %d has no name: %q", first.PID, first.Exe)
	}
	if strings.HasPrefix(first.Exe, "/.road/") {
		return step.Outcome{}, errors.New("the application's own program has ended: what ends by itself is attacked in a pod that does nothing")
	}
	out, err := overwrite(ctx, s, first.Exe)
	code := codeFile(s, list)
	if err != nil || out.Verdict == step.Succeeded || code == "" {
		return out, err
	}
	own, err := overwrite(ctx, s, code)
	if err == nil && own.Verdict == step.Blocked {
		own.Evidence = out.Evidence + "\n" + own.Evidence
		own.Left = own.Left || out.Left
	}
	return own, err
}

// codeFile gives the file of the application's own that an interpreter was started
// with, "" for none: the last word behind an interpreter that is a file of code
// in the container, or names a module of Python's there.
func codeFile(s *sandbox.Scene, list []sandbox.Process) string {
	c := step.Container(s)
	if c == nil {
		return ""
	}
	work := c.Spec.WorkingDir
	if work == "" {
		work = s.App.Seen.Images[c.Spec.Image].WorkingDir
	}
	for _, p := range list {
		if !interpreter.MatchString(path.Base(p.Exe)) {
			continue
		}
		words := strings.Fields(p.Command)
		for i := len(words) - 1; i > 0; i-- { // the script's own words come last
			module, _, _ := strings.Cut(words[i], ":")
			for _, name := range []string{words[i], strings.ReplaceAll(module, ".", "/") + ".py"} {
				if !path.IsAbs(name) {
					name = path.Join("/", work, name)
				}
				if !codeName.MatchString(name) || step.OnVolume(s.App, c, path.Dir(name)) {
					continue
				}
				if _, err := s.Node.ReadFile(name, 1); err == nil {
					return name
				}
			}
		}
	}
	return ""
}

var (
	interpreter = regexp.MustCompile(`^(python|ruby|node|perl|php|java|bash|dash|sh$)`)
	codeName    = regexp.MustCompile(`\.(py|rb|js|mjs|cjs|ts|pl|php|jar|sh)$`)
)

// overwrite renames a file over another and looks at it from the node.
func overwrite(ctx context.Context, s *sandbox.Scene, name string) (step.Outcome, error) {
	saved := name + ".road"
	err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: saved, Data: []byte(marker), Mode: 0o755}, nil)
	left := false
	if err == nil {
		if err = s.Foothold.Code(ctx, probe.Rename, probe.FromTo{From: saved, To: name}, nil); err != nil {
			stays := step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: saved})
			left, err = stays != nil, errors.Join(err, stays)
		}
	}
	if err != nil && step.Denied(err) == "" {
		return step.Outcome{}, err
	}
	now, readErr := s.Node.ReadFile(name, int64(len(marker)))
	if readErr != nil {
		return step.Outcome{}, readErr
	}
	f, statErr := s.Node.Stat(name)
	if statErr != nil {
		return step.Outcome{}, statErr
	}
	out, err := judgeOverwrite(err, bytes.Equal(now, []byte(marker)), step.Listing(name, f))
	out.Left = left
	return out, err
}

// judgeOverwrite says what the refusal and the bytes on the node mean.
func judgeOverwrite(err error, changed bool, file string) (step.Outcome, error) {
	switch {
	case changed:
		return step.Outcome{Verdict: step.Succeeded, Evidence: "on the node: " + file + ", begins with the attacker's bytes"}, nil
	case err != nil:
		return step.Outcome{Verdict: step.Blocked, Evidence: step.Denied(err) + "\non the node: " + file + ", unchanged"}, nil
	}
	return step.Outcome{}, errors.New("the rename was answered without an error, and the node sees the old bytes")
}

// plantStartupFile adds a line to the files that a login shell reads, and starts
// one as an administrator would. The line leaves a file on the volume. Where there
// is no shell to read it, the line stays in its file.
func plantStartupFile(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	if s.Volume == "" {
		return step.Outcome{}, errors.New("the container has no volume shared with the node")
	}
	files, err := startupFiles(ctx, s)
	if err != nil {
		return step.Outcome{}, err
	}
	trace := path.Join(s.Volume, "road-startup")
	line := "\nread road </proc/self/stat; echo \"$road\" >" + trace + "\n"
	var refused []string
	for _, name := range files {
		err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Data: []byte(line), Append: true}, nil)
		if err == nil {
			return loginShell(ctx, s, name, trace)
		}
		if step.Denied(err) == "" && step.Missing(err) == "" {
			return step.Outcome{}, err
		}
		refused = append(refused, step.Refused(err))
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(refused, "\n")}, nil
}

// startupFiles names the files of the root file system that a login shell reads:
// the system's, then those of the user.
func startupFiles(ctx context.Context, s *sandbox.Scene) ([]string, error) {
	c := step.Container(s)
	if c == nil {
		return nil, fmt.Errorf("%s has no container %q", s.Target.Workload, s.Target.Container)
	}
	files := []string{"/etc/profile.d/road.sh", "/etc/profile"}
	var env []string
	if err := s.Foothold.Code(ctx, probe.Environ, nil, &env); err != nil {
		return nil, err
	}
	for _, e := range env {
		if home, ok := strings.CutPrefix(e, "HOME="); ok && path.IsAbs(home) && !step.OnVolume(s.App, c, path.Clean(home)) {
			files = append(files, path.Join(home, ".profile"))
		}
	}
	return files, nil
}

// loginShell starts a login shell and looks for what the planted line left.
func loginShell(ctx context.Context, s *sandbox.Scene, planted, trace string) (out step.Outcome, err error) {
	err = s.Foothold.Code(ctx, probe.Exec, probe.ExecArgs{Argv: []string{"sh", "-l", "-c", ":"}}, nil)
	if line := step.Missing(err); line != "" {
		return step.Outcome{Verdict: step.Blocked, Evidence: planted + " was written, and nothing reads it\n" + line, Left: true}, nil
	}
	if err != nil {
		return step.Outcome{}, err
	}
	left, err := s.Node.ReadFile(trace, 200)
	if err != nil {
		return step.Outcome{}, fmt.Errorf("%s was written, and a login shell did not run it: %w", planted, err)
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: trace}))
	}()
	f, err := s.Node.Stat(planted)
	if err != nil {
		return step.Outcome{}, err
	}
	process, _, _ := strings.Cut(string(left), ") ")
	return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("on the node: %s\nrun by the login shell, process %s)", step.Listing(planted, f), process)}, nil
}

// runFromMemory runs the probe's own program from a memfd.
func runFromMemory(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	return run(ctx, s, probe.ExecArgs{Argv: []string{"road-tool", "hold"}, Memory: true}, "/memfd:")
}

// scriptInDevShm saves a script where a program could not be run, and has the
// shell read it.
func scriptInDevShm(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	const script, trace = "/dev/shm/road-script", "/dev/shm/road-trace"
	text := fmt.Sprintf("echo written by the script at %d >%s\n", time.Now().UnixNano(), trace)
	if err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: script, Data: []byte(text), Mode: 0o755}, nil); err != nil {
		return step.Denial(err)
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: script}))
	}()
	err = s.Foothold.Code(ctx, probe.Exec, probe.ExecArgs{Argv: []string{"sh", script}}, nil)
	if line := step.Missing(err); line != "" {
		return step.Outcome{Verdict: step.Blocked, Evidence: line}, nil
	}
	if err != nil {
		return step.Outcome{}, err
	}
	left, err := s.Node.ReadFile(trace, 100)
	if err != nil {
		return step.Outcome{}, fmt.Errorf("the shell ran the script, and the node sees nothing of it: %w", err)
	}
	defer func() {
		err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: trace}))
	}()
	if !strings.Contains(text, strings.TrimSpace(string(left))) {
		return step.Outcome{}, fmt.Errorf("%s holds something else: %.50q", trace, left)
	}
	return step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("on the node: %s: %s", trace, strings.TrimSpace(string(left)))}, nil
}
