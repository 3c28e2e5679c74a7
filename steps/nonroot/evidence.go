package nonroot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"

	"road/internal/probe"
	"road/internal/sandbox"
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

// ls shows a file as ls -ln does.
func ls(name string, f sandbox.File) string {
	const letters = "rwxrwxrwx"
	mode := []byte("----------")
	for i := range letters {
		if f.Mode&(1<<(8-i)) != 0 {
			mode[i+1] = letters[i]
		}
	}
	for _, bit := range []struct {
		mode  uint32
		place int
		with  byte
	}{{0o4000, 3, 's'}, {0o2000, 6, 's'}, {0o1000, 9, 't'}} {
		if f.Mode&bit.mode != 0 {
			if mode[bit.place] == '-' {
				bit.with -= 'a' - 'A'
			}
			mode[bit.place] = bit.with
		}
	}
	return fmt.Sprintf("%s uid %d gid %d %s", mode, f.UID, f.GID, name)
}

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
