package minimalimage

import (
	"strings"
	"testing"

	"road/internal/step"
)

// TestJudge has what a program printed decide, and nothing that it only tried.
func TestJudge(t *testing.T) {
	says42 := func(line string) bool { return line == "the shell says 42" }
	for _, c := range []struct {
		name string
		tool step.Tool
		want step.Verdict // "" for an error
		text string
	}{
		{"it ran", step.Tool{Output: "the shell says 42\n"}, step.Succeeded, "the shell says 42"},
		{"by code", step.Tool{Output: "the shell says 42\n", Code: true}, step.Succeeded, "by code inside: the shell says 42"},
		{"missing", step.Tool{Output: "x", Missing: `exec: "sh": executable file not found in $PATH`}, step.Blocked, `exec: "sh": executable file not found in $PATH`},
		{"the line was only echoed", step.Tool{Output: "echo the shell says $((6*7))\n"}, "", "did not do it"},
		{"denied", step.Tool{Output: "fork/exec /bin/sh: operation not permitted\n"}, "", "operation not permitted"},
		{"nothing", step.Tool{Output: "\n"}, "", "printed nothing"},
	} {
		out, err := judge("sh", c.tool, says42)
		if c.want == "" {
			if err == nil || out.Verdict != "" || !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s: %+v, %v", c.name, out, err)
			}
			continue
		}
		if err != nil || out.Verdict != c.want || out.Evidence != c.text {
			t.Errorf("%s: %+v, %v", c.name, out, err)
		}
	}
}
