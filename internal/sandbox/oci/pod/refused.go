package pod

import (
	"os"
	"path"
	"regexp"
	"strings"

	"road/internal/app"
)

// refusedLines is how many of a container's last lines are looked at.
const refusedLines = 200

// Refused gives what the last lines of a container say that the kernel refused it:
// where it would have written, and what else it lacked. They are its own words, so
// only a run that failed is asked.
func (p *Pod) Refused(name string) (map[string]app.Write, []app.Denied, error) {
	c, err := p.container(name)
	if err != nil {
		return nil, nil, err
	}
	img := p.o.Images[c.spec.Image]
	work := c.spec.WorkingDir
	if work == "" {
		work = img.Config.WorkingDir
	}
	writes := map[string]app.Write{}
	var denied []app.Denied
	before := ""
	for line := range strings.Lines(c.log.lines(refusedLines)) {
		line = strings.TrimSpace(line)
		what, file := refusal(line)
		if file == "" && noAccess.MatchString(line) {
			file = closed(img.Lowers, before)
			before, line = line, before+": "+line
		} else {
			before = line
		}
		if file == "" {
			continue
		}
		if file = path.Clean(file); !path.IsAbs(file) {
			file = path.Join("/", work, file)
		}
		if rest, ok := strings.CutPrefix(file, "/var/run/"); ok {
			file = "/run/" + rest
		}
		if what == "" {
			what = wanted(img.Lowers, file)
		}
		if what != "write" {
			denied = append(denied, app.Denied{What: what, Name: file, Line: line})
			continue
		}
		dir, base := path.Split(file)
		dir = path.Clean(dir)
		st := inImage(img.Lowers, file)
		if st != nil && st.IsDir() {
			dir = file
		}
		w := app.Write{Holds: holds(img.Lowers, dir)}
		if w.Files = true; st != nil && !st.IsDir() {
			w.Files, w.Changed = false, []string{base}
		}
		writes = app.MergeWrites(writes, map[string]app.Write{dir: w})
	}
	return writes, denied, nil
}

var (
	readOnly  = regexp.MustCompile(`(?i)read-only file ?system|\bEROFS\b`)
	noAccess  = regexp.MustCompile(`(?i)permission denied|\bEACCES\b`)
	notYours  = regexp.MustCompile(`(?i)(chown|chgrp|ownership).*operation not permitted|\bEPERM\b.*\bchown\b`)
	quoted    = regexp.MustCompile("[\"'`‘“]([^\"'`’”\\s]+)[\"'`’”]")
	absolute  = regexp.MustCompile(`(?:^|[\s=(:])(/[A-Za-z0-9_@%+=.,/-]+)`)
	beforeSay = regexp.MustCompile(`(?i)([^\s:'"]+): (?:permission denied|read-only file ?system)`)
)

// refusal reads a line of a log: what was refused, "" where the line does not tell
// reading from writing, and the file; none for any other line.
func refusal(line string) (what, file string) {
	switch {
	case readOnly.MatchString(line):
		what = "write"
	case notYours.MatchString(line):
		what = "own"
	case !noAccess.MatchString(line):
		return "", ""
	}
	for _, m := range quoted.FindAllStringSubmatch(line, -1) {
		if strings.Contains(m[1], "/") || what == "own" || strings.Contains(line, "cannot") {
			return what, m[1]
		}
	}
	if m := beforeSay.FindStringSubmatch(line); m != nil && !strings.HasSuffix(m[1], ")") {
		return what, m[1]
	}
	if m := absolute.FindStringSubmatch(line); m != nil {
		return what, strings.TrimRight(m[1], ".,")
	}
	return what, ""
}

// closed gives the file of the image that a line names and that is not everybody's
// to read: what the next line, a bare refusal, may be about. "" where it names none.
func closed(lowers []string, line string) string {
	for _, m := range absolute.FindAllStringSubmatch(line, -1) {
		if name := strings.TrimRight(m[1], ".,"); inImage(lowers, name) != nil && wanted(lowers, name) == "read" {
			return name
		}
	}
	return ""
}

// wanted says what was wanted of a file to which access was refused: what everybody
// may read was to be written, and so was what the image does not have.
func wanted(lowers []string, file string) string {
	for dir := path.Dir(file); dir != "/"; dir = path.Dir(dir) {
		if st := inImage(lowers, dir); st != nil && st.Mode().Perm()&0o001 == 0 && st.Mode()&os.ModeSymlink == 0 {
			return "read" // it is behind a closed door
		}
	}
	st := inImage(lowers, file)
	if st != nil && (st.Mode().Perm()&0o004 == 0 || st.IsDir() && st.Mode().Perm()&0o001 == 0) {
		return "read"
	}
	return "write"
}
