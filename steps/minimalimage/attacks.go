package minimalimage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"road/internal/sandbox"
	"road/internal/step"
)

// The attacks of this step: what an attacker finds in an image beside the
// application. Each is judged by what the program printed, which only it could
// have; that it is missing, by the line that says so.
var attacks = []step.Attack{
	{
		Name:      "run-shell",
		Goal:      "have a shell do something",
		Transport: step.Command,
		Anywhere:  true,
		Run:       runShell,
	},
	{
		Name:      "list-files",
		Goal:      "look around in the container's root",
		Transport: step.Command,
		Anywhere:  true,
		Run:       listFiles,
	},
	{
		Name:      "living-off-the-land",
		Goal:      "read a file of the image with a tool that came along for another purpose",
		Transport: step.Command,
		Anywhere:  true,
		Run:       livingOffTheLand,
	},
}

// runShell has a shell calculate: a hole that splits its command at spaces leaves
// the tab alone, which only a shell reads as one.
func runShell(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	t, err := step.RunTool(ctx, s, "sh", "-c", "echo\tthe\tshell\tsays\t$((6*7))")
	if err != nil {
		return step.Outcome{}, err
	}
	return judge("sh", t, func(line string) bool { return line == "the shell says 42" })
}

// listFiles lists the root.
func listFiles(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	t, err := step.RunTool(ctx, s, "ls", "-l", "/")
	if err != nil {
		return step.Outcome{}, err
	}
	return judge("ls", t, func(line string) bool { return strings.HasPrefix(line, "d") && strings.HasSuffix(line, " etc") })
}

// tools read a file and print it; each comes with some distribution for another
// purpose.
var tools = [][]string{
	{"openssl", "enc", "-in", "/etc/passwd"},
	{"perl", "-pe", "1", "/etc/passwd"},
	{"tar", "-cf", "-", "/etc/passwd"},
	{"awk", "1", "/etc/passwd"},
}

// livingOffTheLand tries one tool after another. It is blocked where all are
// missing.
func livingOffTheLand(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	var missing []string
	for _, argv := range tools {
		t, err := step.RunTool(ctx, s, argv...)
		if err != nil {
			return step.Outcome{}, err
		}
		if t.Missing != "" {
			missing = append(missing, said(t, t.Missing))
			continue
		}
		out, err := judge(argv[0], t, func(line string) bool { return strings.Contains(line, "root:x:0:0:") })
		if out.Verdict == step.Succeeded {
			out.Evidence = strings.Join(argv, " ") + ": " + out.Evidence
		}
		return out, err
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(missing, "\n")}, nil
}

// judge says what came of a program. holds finds the line that only it could
// have printed.
func judge(program string, t step.Tool, holds func(line string) bool) (step.Outcome, error) {
	if t.Missing != "" {
		return step.Outcome{Verdict: step.Blocked, Evidence: said(t, t.Missing)}, nil
	}
	last := ""
	for line := range strings.Lines(t.Output) {
		line = strings.TrimSpace(line)
		if holds(line) {
			return step.Outcome{Verdict: step.Succeeded, Evidence: said(t, line)}, nil
		}
		if line != "" {
			last = line
		}
	}
	if last == "" {
		return step.Outcome{}, errors.New(program + " printed nothing")
	}
	return step.Outcome{}, fmt.Errorf("%s did not do it: %s", program, last)
}

// said gives a line of evidence, with the way that led to it where that is not
// the attack's own.
func said(t step.Tool, line string) string {
	if t.Code {
		return "by code inside: " + line
	}
	return line
}
