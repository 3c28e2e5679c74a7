package nonroot

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"road/internal/probe"
)

// refusal gives the kernel's answer in err, nil where err is something else: a
// probe that could not start, an ended connection.
func refusal(err error) *probe.Error {
	var e *probe.Error
	if errors.As(err, &e) && e.Errno != 0 {
		return e
	}
	return nil
}

// denied says whether the kernel refused for want of rights.
func denied(err error) bool {
	return refusal(err) != nil && (errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EROFS))
}

// line gives the kernel's answer as a tool would print it.
func line(err error) string { return refusal(err).Error() }

// lines gives the lines of s that are not empty, without white space around them.
func lines(s string) []string {
	var out []string
	for l := range strings.Lines(s) {
		if l = strings.TrimSpace(l); l != "" {
			out = append(out, l)
		}
	}
	return out
}

// lastLines gives the last n of them.
func lastLines(s string, n int) string {
	l := lines(s)
	return strings.Join(l[max(0, len(l)-n):], "\n")
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}
