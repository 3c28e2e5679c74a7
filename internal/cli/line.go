package cli

import (
	"strconv"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// A leftover is something that fix left as it is.
type leftover struct {
	pos  app.Pos // in the file as it was on disk
	text string
}

// onDisk gives the place that a place in the edited files has on disk.
func (f *fixer) onDisk(p app.Pos) app.Pos { return moved(p, f.original, f.files) }

// written gives the place that a place on disk has after all edits, where they are
// written.
func (f *fixer) written(p app.Pos, write bool) app.Pos {
	if !write {
		return p
	}
	return moved(p, f.files, f.original)
}

// moved gives the place in the files as they are in to that a place has in from. A
// line that is not there becomes the one in front of where it would stand; a file
// that is not there stays what it is.
func moved(p app.Pos, to, from edit.Files) app.Pos {
	old, there := to[p.File]
	now, edited := from[p.File]
	if !there || !edited || p.Line == 0 || string(old) == string(now) {
		return p
	}
	diff := edit.Diff(edit.Files{p.File: now}, edit.Files{p.File: old})
	if line := lineAfter(diff, p.Line); line != p.Line {
		p.Line, p.Column = line, 0
	}
	return p
}

// lineAfter follows a line through a unified diff of one file.
func lineAfter(diff string, line int) int {
	was, is, hunk := 1, 1, false
	for text := range strings.Lines(diff) {
		if strings.HasPrefix(text, "@@ ") {
			a, b := starts(text)
			if line < a {
				break
			}
			was, is, hunk = a, b, true
			continue
		}
		if !hunk {
			continue // the names
		}
		switch text[0] {
		case ' ':
			if was == line {
				return is
			}
			was++
			is++
		case '-':
			if was == line {
				return max(is-1, 1)
			}
			was++
		case '+':
			is++
		}
	}
	return line - was + is
}

// starts reads where a hunk begins: "@@ -7,5 +7,6 @@".
func starts(head string) (was, is int) {
	for _, f := range strings.Fields(head) {
		first, _, _ := strings.Cut(f, ",")
		n, err := strconv.Atoi(first)
		if err != nil {
			continue
		}
		if n < 0 {
			was = -n
		} else {
			is = n
		}
	}
	return was, is
}
