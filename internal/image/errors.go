package image

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"golang.org/x/sys/unix"
)

// A BuildError is an instruction of a Dockerfile that failed.
type BuildError struct {
	File    string   // as in app.Dockerfile; "" where no instruction is to blame
	Line    int      // 1-based
	Command string   // the instruction: "RUN make"
	Reason  string   // "exit code: 2"
	Output  []string // its last lines
}

// Error says where, what and why, and quotes the last lines of output, each on a
// line of its own.
func (e *BuildError) Error() string {
	var b strings.Builder
	if e.File != "" && e.Line > 0 {
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	}
	if e.Command != "" {
		b.WriteString(firstLine(e.Command) + ": ")
	}
	b.WriteString(e.Reason)
	for _, l := range e.Output {
		b.WriteString("\n  " + l)
	}
	return b.String()
}

// Hint says where to look.
func (e *BuildError) Hint() string {
	if e.File == "" {
		return ""
	}
	return "correct " + e.File + ": road builds it as docker build does, and has changed nothing"
}

// A BaseError is a base image that could not be made from a distribution's
// packages: the fault of this machine or its network.
type BaseError struct {
	Ref, Distribution string
	Reason            string   // "mmdebstrap: exit status 25"
	Output            []string // the errors that it told of
}

// Error says what could not be made and why, each of the tool's errors on a line
// of its own.
func (e *BaseError) Error() string {
	s := fmt.Sprintf("cannot make %s from %s's packages: mmdebstrap: %s", e.Ref, e.Distribution, e.Reason)
	for _, l := range e.Output {
		s += "\n  " + l
	}
	return s
}

// A hinted error also says what to do about it.
type hinted struct {
	error
	hint string
}

// Hint is the advice.
func (h *hinted) Hint() string  { return h.hint }
func (h *hinted) Unwrap() error { return h.error }

func withHint(err error, hint string) error { return &hinted{err, hint} }

// explain adds a hint where the store's disk is to blame. A build step reports
// a full disk in words alone.
func (s *Store) explain(err error) error {
	full := errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
	var b *BuildError
	if errors.As(err, &b) {
		full = full || strings.Contains(strings.ToLower(b.Reason+strings.Join(b.Output, "\n")), "no space left on device")
	}
	if full {
		return withHint(err, "the disk is full: free some space below "+s.o.Dir)
	}
	return err
}

// canBuild says what this process lacks for a build.
func canBuild() error {
	if os.Geteuid() != 0 {
		return withHint(errors.New("building images needs root"), "run it with sudo")
	}
	if _, err := exec.LookPath("runc"); err != nil {
		return withHint(errors.New("building images needs runc, which is not on PATH"), "apt-get install runc")
	}
	return nil
}
