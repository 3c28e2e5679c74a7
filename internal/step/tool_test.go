package step

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"road/internal/probe"
	"road/internal/sandbox"
)

// TestNotFound has only a line that names the program count, and not one in
// which the program itself misses a file.
func TestNotFound(t *testing.T) {
	for output, want := range map[string]string{
		"exec: \"sh\": executable file not found in $PATH\n":                  "exec: \"sh\": executable file not found in $PATH",
		"some output\n/bin/sh: 1: sh: not found\n":                            "/bin/sh: 1: sh: not found",
		"FileNotFoundError: [Errno 2] No such file or directory: 'sh'\n":      "FileNotFoundError: [Errno 2] No such file or directory: 'sh'",
		"exec: \"openssl\": executable file not found in $PATH\n":             "",
		"sh: 0: cannot open /x: No such file\n":                               "",
		"ls: cannot access '/sh': No such file or directory\nexit status 2\n": "",
		"fork/exec /bin/sh: operation not permitted\n":                        "",
		"": "",
	} {
		if got := NotFound(output, "sh"); got != want {
			t.Errorf("%q: %q, want %q", output, got, want)
		}
	}
}

// A foothold answers as one recorded from a run does.
type foothold struct {
	sandbox.Foothold
	hole    string
	noHole  bool
	code    error
	printed string
}

func (f foothold) Command(context.Context, ...string) (string, error) {
	if f.noHole {
		return "", sandbox.ErrNoHole
	}
	return f.hole, nil
}

func (f foothold) Code(_ context.Context, _ string, _, into any) error {
	if r, ok := into.(*probe.ExecResult); ok {
		r.Output = f.printed
	}
	return f.code
}

// A node has one file.
type node struct {
	sandbox.Node
	file string
}

func (n node) Stat(name string) (sandbox.File, error) {
	if name == n.file {
		return sandbox.File{Mode: 0o755}, nil
	}
	return sandbox.File{}, fs.ErrNotExist
}

// TestRunTool has a program count as missing only where nobody sees it.
func TestRunTool(t *testing.T) {
	const line = "exec: \"sh\": executable file not found in $PATH"
	enoent := &probe.Error{Op: "exec", Path: "sh", Errno: int(syscall.ENOENT), Message: "No such file or directory"}
	for _, c := range []struct {
		name            string
		f               foothold
		file            string
		missing, output bool
		err             bool
	}{
		{"missing", foothold{hole: line}, "", true, true, false},
		{"the hole lies", foothold{hole: line}, "/bin/sh", false, true, false},
		{"it ran", foothold{hole: "42"}, "/bin/sh", false, true, false},
		{"no hole, missing", foothold{noHole: true, code: enoent}, "", true, false, false},
		{"no hole, it ran", foothold{noHole: true, printed: "42"}, "", false, true, false},
		{"the probe is gone", foothold{noHole: true, code: probe.ErrEnded}, "", false, false, true},
	} {
		got, err := RunTool(t.Context(), &sandbox.Scene{Foothold: c.f, Node: node{file: c.file}}, "sh")
		if got.Missing != "" != c.missing || got.Output != "" != c.output || err != nil != c.err {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
		if c.err && !errors.Is(err, probe.ErrEnded) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
