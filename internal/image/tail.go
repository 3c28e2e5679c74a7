package image

import (
	"slices"
	"strings"
)

// A tail remembers the last lines of a command's output. The two streams reach
// us in no certain order, so that a long standard output could push the reason
// out, which stands on standard error: each stream keeps lines of its own.
type tail struct {
	streams [2]stream // standard error, all others
	count   int
}

type stream struct {
	part string // of a line that is not complete
	last []numbered
}

type numbered struct {
	number int // order of arrival
	text   string
}

const (
	standardError = 2
	partLimit     = 64 << 10 // of a line without end
)

func (t *tail) add(number int, data []byte) {
	s := &t.streams[1]
	if number == standardError {
		s = &t.streams[0]
	}
	lines := strings.Split(s.part+string(data), "\n")
	s.part = lines[len(lines)-1]
	s.part = s.part[max(0, len(s.part)-partLimit):]
	for _, l := range lines[:len(lines)-1] {
		t.put(s, l)
	}
}

func (t *tail) put(s *stream, line string) {
	if line = cleanLine(line); line == "" {
		return
	}
	t.count++
	s.last = append(s.last, numbered{t.count, line})
	s.last = s.last[max(0, len(s.last)-outputLines):]
}

// lines are the last outputLines lines in the order in which they came. Up to
// half of them are from standard error, however much came on the other stream.
func (t *tail) lines() []string {
	for i := range t.streams {
		t.put(&t.streams[i], t.streams[i].part)
		t.streams[i].part = ""
	}
	reason, rest := t.streams[0].last, t.streams[1].last
	sure := min(len(reason), outputLines/2+1)
	all := slices.Concat(reason[:len(reason)-sure], rest)
	slices.SortFunc(all, func(a, b numbered) int { return a.number - b.number })
	all = append(all[max(0, len(all)-(outputLines-sure)):], reason[len(reason)-sure:]...)
	slices.SortFunc(all, func(a, b numbered) int { return a.number - b.number })
	var out []string
	for _, l := range all {
		out = append(out, l.text)
	}
	return out
}
