package image

import (
	"regexp"
	"strings"

	"github.com/moby/buildkit/client"
)

// outputLines is how much of a failed command's output an error quotes.
const outputLines = 15

// A tracker turns BuildKit's stream of states into short lines, and remembers
// the last words of every step.
type tracker struct {
	image string
	say   func(string)
	steps map[string]*trackedStep // by digest
}

type trackedStep struct {
	name string // as BuildKit calls it
	told bool
	tail tail
}

func newTracker(image string, say func(string)) *tracker {
	return &tracker{image: image, say: say, steps: map[string]*trackedStep{}}
}

func (t *tracker) step(digest string) *trackedStep {
	s := t.steps[digest]
	if s == nil {
		s = &trackedStep{}
		t.steps[digest] = s
	}
	return s
}

func (t *tracker) update(st *client.SolveStatus) {
	for _, v := range st.Vertexes {
		s := t.step(string(v.Digest))
		s.name = v.Name
		if v.Started == nil || v.Cached || v.Completed != nil || s.told {
			continue
		}
		if line := stepLine(v.Name); line != "" {
			s.told = true
			t.say(t.image + ": " + line)
		}
	}
	for _, l := range st.Logs {
		t.step(string(l.Vertex)).tail.add(l.Stream, l.Data)
	}
}

// vertex gives the command of a step and its last lines.
func (t *tracker) vertex(digest string) (command string, output []string) {
	s := t.steps[digest]
	if s == nil {
		return "", nil
	}
	_, _, _, command = splitStep(s.name)
	return command, s.tail.lines()
}

// cleanLine takes away what would move a terminal's cursor: of a line that a
// progress bar wrote over again and again, the last state remains.
func cleanLine(l string) string {
	l = strings.TrimRight(l, "\r ")
	if i := strings.LastIndexByte(l, '\r'); i >= 0 {
		l = l[i+1:]
	}
	l = escapes.ReplaceAllString(l, "")
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r == 0x7f {
			return -1
		}
		return r
	}, l)
}

var (
	escapes  = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(\x07|\x1b\\)`)
	stepName = regexp.MustCompile(`(?s)^\[(?:(\S+) )?(\d+)/(\d+)\] (.*)$`)
)

// splitStep takes a name like "[build 2/5] RUN make" apart; place is "" where it
// is not a step of a stage.
func splitStep(name string) (stage, place, of, command string) {
	m := stepName.FindStringSubmatch(name)
	if m == nil {
		return "", "", "", name
	}
	return m[1], m[2], m[3], m[4]
}

// stepLine is the progress line of a step; "" for BuildKit's own business.
func stepLine(name string) string {
	stage, place, of, command := splitStep(name)
	if place == "" {
		return ""
	}
	line := firstLine(command) + " (" + place + "/" + of + ")"
	if stage != "" && !strings.HasPrefix(stage, "stage-") {
		line = stage + ": " + line
	}
	return line
}

// firstLine shortens a command to what fits on a terminal beside other things.
func firstLine(s string) string {
	const most = 90
	first, _, more := strings.Cut(s, "\n")
	first = strings.Join(strings.Fields(cleanLine(first)), " ")
	if r := []rune(first); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	if more {
		return first + " …"
	}
	return first
}
