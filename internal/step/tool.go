package step

import (
	"context"
	"errors"
	"path"
	"strings"

	"road/internal/probe"
	"road/internal/sandbox"
)

// A Tool is what came of running a program in a container.
type Tool struct {
	Output  string // what it printed, or what the application's hole said
	Missing string // the line that says that there is no such program, "" where it ran
	Code    bool   // by code inside, since the application has no hole for commands
}

// RunTool runs a program of the container's own image, as an attacker would:
// through the application's hole for commands, and, where it has none, by code
// inside. A hole's word that the program is missing only counts where the node
// sees none either, as far as it can look. An error means that it could not be
// tried.
func RunTool(ctx context.Context, s *sandbox.Scene, argv ...string) (Tool, error) {
	out, err := s.Foothold.Command(ctx, argv...)
	if errors.Is(err, sandbox.ErrNoHole) {
		return runByCode(ctx, s, argv)
	}
	if err != nil {
		return Tool{}, err
	}
	t := Tool{Output: out, Missing: NotFound(out, argv[0])}
	if t.Missing != "" && HasProgram(s.Node, argv[0]) {
		t.Missing = ""
	}
	return t, nil
}

func runByCode(ctx context.Context, s *sandbox.Scene, argv []string) (Tool, error) {
	var r probe.ExecResult
	err := s.Foothold.Code(ctx, probe.Exec, probe.ExecArgs{Argv: argv}, &r)
	if line := Missing(err); line != "" {
		return Tool{Missing: line, Code: true}, nil
	}
	return Tool{Output: r.Output, Code: true}, err
}

// NotFound gives the line of a hole's answer that says that there is no program
// of that name, as Go, Python and shells put it; "" where none does.
func NotFound(output, program string) string {
	for line := range strings.Lines(output) {
		line = strings.TrimSpace(line)
		if !strings.Contains(line, program) {
			continue
		}
		for _, said := range []string{"executable file not found", "No such file or directory: '" + program + "'", "exec: \"" + program + "\"", program + ": not found", program + ": command not found"} {
			if strings.Contains(line, said) {
				return line
			}
		}
	}
	return ""
}

// HasProgram says whether the node sees a program of that name where runtimes
// look; no node sees none.
func HasProgram(n sandbox.Node, program string) bool {
	if n == nil {
		return false
	}
	for _, dir := range []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if f, err := n.Stat(path.Join(dir, program)); err == nil && f.Mode&0o111 != 0 {
			return true
		}
	}
	return false
}
