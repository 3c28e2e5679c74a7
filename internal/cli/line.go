package cli

import (
	"bytes"
	"slices"
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
func (f *fixer) onDisk(p app.Pos) app.Pos { return f.lines.moved(p, f.original, f.files) }

// written gives the place that a place on disk has after all edits, where they are
// written.
func (f *fixer) written(p app.Pos, write bool) app.Pos {
	if !write {
		return p
	}
	return f.lines.moved(p, f.files, f.original)
}

// A mover knows where the lines of files have gone. A file may have thousands of
// places to ask for: what was found out of it is kept while it stays what it is.
type mover map[string]*shifted

// A shifted is where the lines of one content are in another.
type shifted struct {
	from, to []byte
	inside   map[int]int // of lines that the diff shows
	behind   []shift     // of all others, by the last that is not after them
}

// A shift is a line, and where it is in the other content.
type shift struct{ was, is int }

// moved gives the place in the files as they are in to that a place has in from. A
// line that is not there becomes the one in front of where it would stand; a file
// that is not there stays what it is.
func (m mover) moved(p app.Pos, to, from edit.Files) app.Pos {
	old, there := to[p.File]
	now, edited := from[p.File]
	if !there || !edited || p.Line == 0 || bytes.Equal(old, now) {
		return p
	}
	s := m[p.File]
	if s == nil || !bytes.Equal(s.from, now) || !bytes.Equal(s.to, old) {
		s = shifts(edit.Diff(edit.Files{p.File: now}, edit.Files{p.File: old}))
		s.from, s.to = now, old
		m[p.File] = s
	}
	if line := s.line(p.Line); line != p.Line {
		p.Line, p.Column = line, 0
	}
	return p
}

func (s *shifted) line(was int) int {
	if is, shown := s.inside[was]; shown {
		return is
	}
	i, _ := slices.BinarySearchFunc(s.behind, was+1, func(b shift, line int) int { return b.was - line })
	return was - s.behind[i-1].was + s.behind[i-1].is
}

// shifts reads a unified diff of one file.
func shifts(diff string) *shifted {
	s := &shifted{inside: map[int]int{}, behind: []shift{{1, 1}}}
	was, is, hunk := 1, 1, false
	for text := range strings.Lines(diff) {
		if strings.HasPrefix(text, "@@ ") {
			if hunk {
				s.behind = append(s.behind, shift{was, is})
			}
			was, is = starts(text)
			hunk = true
			continue
		}
		if !hunk {
			continue // the names
		}
		switch text[0] {
		case ' ':
			s.inside[was] = is
			was++
			is++
		case '-':
			s.inside[was] = max(is-1, 1)
			was++
		case '+':
			is++
		}
	}
	s.behind = append(s.behind, shift{was, is})
	return s
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
