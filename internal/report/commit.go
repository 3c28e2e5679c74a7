package report

import (
	"fmt"
	"strings"
	"unicode"

	"road/internal/step"
	"road/internal/walk"

	"github.com/charmbracelet/x/ansi"
)

// subjectWidth and bodyWidth are what git's own documentation asks of a message.
const (
	subjectWidth = 72
	bodyWidth    = 72
)

// evidenceLines is how many lines of an attack's evidence a commit message
// holds: the last ones, which say how it came out.
const evidenceLines = 3

// CommitSubject is the first line of the message of a stop's git commit.
func CommitSubject(s *walk.Stop) string {
	title := []rune(s.Title)
	if len(title) > 1 && unicode.IsLower(title[1]) {
		title[0] = unicode.ToLower(title[0])
	}
	subject := "road: " + string(title)
	if whole := subject + " (" + s.Step + ")"; ansi.StringWidth(whole) <= subjectWidth {
		return whole
	}
	return ansi.Truncate(subject, subjectWidth, "…")
}

// CommitMessage is the message of a stop's git commit: what changed, what that
// prevents with the lines that show it, and what stays open. It says nothing that
// the report does not.
func CommitMessage(s *walk.Stop) string {
	m := &message{}
	m.line(CommitSubject(s))
	m.changed(s)
	m.attacks(s)
	if passed := len(s.Works.Checks); s.Works.Verdict == "works" && passed > 0 {
		m.line("")
		m.item("", fmt.Sprintf("The application works with it: %s.", checks(s.Works.Checks)))
	}
	return m.String()
}

// A message is the text of a commit that is being written.
type message struct{ strings.Builder }

func (m *message) line(s string) {
	m.WriteString(strings.TrimRight(s, " "))
	m.WriteByte('\n')
}

// item writes wrapped text behind a mark, further lines set in below it.
func (m *message) item(mark, s string) {
	for i, l := range wrap(s, bodyWidth-len(mark)) {
		if i > 0 {
			mark = strings.Repeat(" ", len(mark))
		}
		m.line(mark + l)
	}
}

// changed says what the step did to each workload.
func (m *message) changed(s *walk.Stop) {
	m.line("")
	m.line("What changed:")
	for _, w := range s.Workloads {
		switch w.Status {
		case walk.Done:
			m.item("- ", w.Name+": "+done(s, w.Name))
		case walk.LeftOut:
			m.item("- ", w.Name+": left out: "+w.Reason)
		}
		for _, e := range w.Exceptions {
			m.item("  ", "exception: "+e)
		}
	}
}

// done says what the step found in a workload and closed.
func done(s *walk.Stop, workload string) string {
	var what []string
	seen := map[string]bool{}
	for _, f := range s.Findings {
		if f.Workload == workload && !seen[f.Message] {
			seen[f.Message] = true
			what = append(what, f.Message)
		}
	}
	if len(what) == 0 {
		return "done"
	}
	return "no longer: " + strings.Join(what, "; ")
}

// attacks says what became of the step's attacks: those that it stops, those that
// an earlier stop had stopped already, and those that stay open.
func (m *message) attacks(s *walk.Stop) {
	var stopped, before, open, unknown []*walk.AttackResult
	for _, a := range s.Attacks {
		switch {
		case a.After.Verdict == step.Blocked && a.Before.Verdict == step.Succeeded:
			stopped = append(stopped, a)
		case a.After.Verdict == step.Blocked:
			before = append(before, a)
		case a.After.Verdict == step.Succeeded:
			open = append(open, a)
		default:
			unknown = append(unknown, a)
		}
	}
	m.part("What this prevents (each succeeded before, and is blocked after):", stopped, func(a *walk.AttackResult) {
		m.evidence("before", a.Before)
		m.evidence("after", a.After)
	})
	m.part("Blocked before it already:", before, func(a *walk.AttackResult) {
		why := fmt.Sprintf("alone: %s", a.Alone.Verdict)
		if a.ClosedBy > 1 && a.ClosedBy < s.Number {
			why = fmt.Sprintf("closed by stop %d; this step %s", a.ClosedBy, why)
		}
		m.item("  ", why)
		m.evidence("after", a.After)
	})
	m.part("What stays open:", byName(open), func(a *walk.AttackResult) {
		why := a.Open
		if why == "" {
			why = "it still succeeds"
		}
		m.item("  ", why)
	})
	m.part("Unproven:", unknown, func(a *walk.AttackResult) { m.item("  ", a.After.Reason) })
}

// byName makes one of the results of an attack that came to the same everywhere
// for the same reason.
func byName(list []*walk.AttackResult) []*walk.AttackResult {
	var out []*walk.AttackResult
	for _, a := range list {
		if n := len(out); n > 0 && out[n-1].Name == a.Name && out[n-1].Open == a.Open {
			all := *out[n-1]
			all.Target = target(all.Target) + ", " + target(a.Target)
			out[n-1] = &all
			continue
		}
		out = append(out, a)
	}
	return out
}

func (m *message) part(title string, list []*walk.AttackResult, rest func(*walk.AttackResult)) {
	if len(list) == 0 {
		return
	}
	m.line("")
	m.line(title)
	for _, a := range list {
		m.item("- ", fmt.Sprintf("%s on %s: %s", a.Name, target(a.Target), a.Goal))
		rest(a)
	}
}

// evidence quotes the last lines of what an attack showed. They are not wrapped:
// they are what they were.
func (m *message) evidence(side string, c walk.Cell) {
	lines := strings.Split(strings.TrimSpace(c.Evidence), "\n")
	for _, l := range lines[max(0, len(lines)-evidenceLines):] {
		if l = strings.TrimSpace(l); l != "" {
			m.line(fmt.Sprintf("    %-6s | %s", side, ansi.Truncate(l, 120, "…")))
		}
	}
}

func checks(list []walk.CheckResult) string {
	ok := 0
	for _, c := range list {
		if c.OK {
			ok++
		}
	}
	return fmt.Sprintf("%d of %d checks pass", ok, len(list))
}
