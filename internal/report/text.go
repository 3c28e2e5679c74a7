package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"road/internal/step"
	"road/internal/walk"

	"github.com/charmbracelet/x/ansi"
)

// Columns of the attack table: a verdict's width, and how far evidence stands in.
const (
	verdictWidth = 13
	indent       = "   "
)

// Text writes the report for people: a section for every stop, then the matrix.
// It is at most 100 columns wide, and coloured on a terminal unless NO_COLOR is
// set.
func Text(w io.Writer, r *walk.Report) error {
	b := bufio.NewWriter(w)
	t := &text{painter: newPainter(w), w: b, report: r}
	t.head()
	for i, s := range r.Stops {
		t.stop(i, s)
	}
	t.matrix()
	t.open()
	t.summary()
	return b.Flush()
}

// A text is a text report that is being written. Errors of writing stay in w
// until Flush.
type text struct {
	*painter
	w      *bufio.Writer
	report *walk.Report
}

// line writes one line without blanks at its end.
func (t *text) line(parts ...string) {
	t.w.WriteString(strings.TrimRight(strings.Join(parts, ""), " "))
	t.w.WriteByte('\n')
}

func (t *text) head() {
	e := t.report.Engine
	where := strings.Join(nonEmpty(e.Name, e.Runtime, prefixed("kernel ", e.Kernel)), ", ")
	t.line(t.bold.Render(t.report.App), t.dim.Render("  "+where))
	for _, n := range t.report.Notes {
		t.hanging(t.dim.Render("note  "), 6, n)
	}
	for _, p := range t.report.Problems {
		t.hanging(t.unknown.Render("passed by  "), 11, p)
	}
}

// hanging writes a label and wrapped text that hangs behind it.
func (t *text) hanging(label string, width int, body string) {
	for i, l := range wrap(body, t.width-width) {
		if i > 0 {
			label = strings.Repeat(" ", width)
		}
		t.line(label, l)
	}
}

func (t *text) stop(i int, s *walk.Stop) {
	t.line()
	left := fmt.Sprintf("%d.0  %s", s.Number, s.Title)
	if s.Step != "" {
		left += "  " + string(s.Status)
	}
	t.line(t.rule(left, fmt.Sprintf("%.1f s", s.Seconds)))
	if s.Reason != "" {
		t.hanging(indent+t.bad.Render("left out  "), len(indent)+10, s.Reason)
	}
	if s.Commit != nil {
		t.line(indent, t.dim.Render(fmt.Sprintf("commit %.10s  ", s.Commit.SHA)), s.Commit.Subject)
	}
	t.workloads(s)
	t.changes("what changed", s.Diff)
	t.changes("what was tried", s.Tried)
	t.works(s)
	t.attacks(i, s)
	for _, e := range s.Evidence {
		t.heading(evidenceTitle(e.Name))
		for _, l := range strings.Split(e.Text, "\n") {
			t.line(indent, ansi.Truncate(l, t.width-len(indent), "…"))
		}
	}
	t.figures(s)
}

func (t *text) changes(title, diff string) {
	if diff == "" {
		return
	}
	t.heading(title)
	for _, l := range t.diff(diff) {
		t.line(indent, l)
	}
}

func (t *text) heading(s string) {
	t.line()
	t.line(indent, t.bold.Render(s))
}

func (t *text) workloads(s *walk.Stop) {
	width := 0
	for _, w := range s.Workloads {
		width = max(width, len(w.Name))
	}
	for _, w := range s.Workloads {
		if w.Status == s.Status && w.Reason == "" && len(w.Exceptions) == 0 {
			continue // the title says it
		}
		what := string(w.Status)
		if w.Reason != "" {
			what += ": " + w.Reason
		}
		for _, e := range w.Exceptions {
			what += "; except " + e
		}
		t.hanging(indent+pad(w.Name, width+2), len(indent)+width+2, what)
	}
}

func (t *text) works(s *walk.Stop) {
	if len(s.Works.Checks) == 0 {
		return
	}
	if s.Number == 1 {
		t.heading("does it work")
	} else {
		t.heading("does it still work")
	}
	width := 0
	for _, c := range s.Works.Checks {
		width = max(width, min(len(c.Name), 30))
	}
	for _, c := range s.Works.Checks {
		mark := t.good.Render("✓ ")
		if !c.OK {
			mark = t.bad.Render("✗ ")
		}
		t.hanging(indent+mark+pad(c.Name, width+2), len(indent)+4+max(width, len(c.Name)), c.Detail)
	}
}

// figures shows images whose size is known, and how it changed.
func (t *text) figures(s *walk.Stop) {
	if len(s.Figures.Images) == 0 {
		return
	}
	t.heading("images")
	width := 0
	for _, f := range s.Figures.Images {
		width = max(width, len(f.Name))
	}
	for _, f := range s.Figures.Images {
		programs := ""
		switch {
		case f.Executables == 1:
			programs = "     1 program"
		case f.Executables > 1:
			programs = fmt.Sprintf("  %4d programs", f.Executables)
		}
		t.line(indent, pad(f.Name, width+2), fmt.Sprintf("%9s", size(f.Bytes)), programs)
	}
}

func evidenceTitle(name string) string {
	switch name {
	case "ps":
		return "the same process, inside and outside"
	case "status":
		return "what the kernel grants it"
	}
	return name
}

// size writes a size with three digits.
func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	case n >= 1e3:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%d B", n)
}

func nonEmpty(list ...string) []string {
	var out []string
	for _, s := range list {
		if s != "" {
			out = append(out, s)
		}
	}
	return out
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// attacks writes the table of a stop's own attacks, with the lines that show
// each verdict.
func (t *text) attacks(i int, s *walk.Stop) {
	if len(s.Attacks) == 0 {
		return
	}
	columns := t.columns(i, s)
	t.line()
	head := indent + t.bold.Render("attacks")
	parts := []string{pad(head, t.width-verdictWidth*len(columns))}
	for _, c := range columns {
		parts = append(parts, pad(t.bold.Render(c.name), verdictWidth))
	}
	t.line(parts...)
	last := ""
	for _, a := range s.Attacks {
		if a.Name != last {
			if last != "" {
				t.line()
			}
			t.line(indent, t.bold.Render(a.Name), t.dim.Render(by(a.Transport)+": "+a.Goal))
			last = a.Name
		}
		t.attack(s, a, columns)
	}
}

// A column is one side of the attack table.
type column struct {
	name string
	cell func(*walk.AttackResult) walk.Cell
}

func (t *text) columns(i int, s *walk.Stop) []column {
	after := func(a *walk.AttackResult) walk.Cell { return a.After }
	if i == 0 {
		return []column{{"as it came", after}}
	}
	before := t.report.Stops[i-1].Number
	return []column{
		{fmt.Sprintf("%d.0", before), func(a *walk.AttackResult) walk.Cell { return a.Before }},
		{fmt.Sprintf("%d.0", s.Number), after},
		{"alone", func(a *walk.AttackResult) walk.Cell { return a.Alone }},
	}
}

func by(t step.Transport) string {
	if t == step.Other {
		return "  from outside"
	}
	return "  by " + string(t)
}

func (t *text) attack(s *walk.Stop, a *walk.AttackResult, columns []column) {
	label := indent + "  " + target(a.Target)
	width := t.width - verdictWidth*len(columns)
	if ansi.StringWidth(label) > width-1 {
		t.line(label)
		label = ""
	}
	parts := []string{pad(label, width)}
	for _, c := range columns {
		parts = append(parts, pad(t.verdict(c.cell(a).Verdict), verdictWidth))
	}
	t.line(parts...)
	shown := map[string]bool{}
	for _, c := range columns {
		t.why(c.name, c.cell(a), shown)
	}
	if a.Weakened != nil {
		t.why("weakened", *a.Weakened, shown)
	}
	if a.ClosedBy > 0 && a.ClosedBy < s.Number {
		t.line(indent, "    ", t.dim.Render(fmt.Sprintf("closed by %d.0 already", a.ClosedBy)))
	}
	if a.Open != "" {
		t.hanging(indent+"    "+t.dim.Render("stays open "), len(indent)+15, a.Open)
	}
}

// why writes a cell's evidence and reason, unless the same was just shown.
func (t *text) why(side string, c walk.Cell, shown map[string]bool) {
	body := c.Evidence
	if c.Verdict != step.Succeeded && c.Verdict != step.Blocked && c.Reason != "" {
		body = strings.TrimLeft(c.Reason+"\n"+c.Evidence, "\n")
	}
	if body == "" || c.Reason == "not run" || shown[body] {
		return
	}
	shown[body] = true
	width := len(indent) + 15
	for i, l := range clip(wrap(strings.TrimSpace(body), t.width-width)) {
		label := ""
		if i == 0 {
			label = side
		}
		t.line(indent, "    ", t.dim.Render(pad(label, 9)+"│ "), l)
	}
}

// maxLines is how many lines of evidence the text shows; JSON has them all.
const maxLines = 8

// clip leaves out the middle of long evidence: the end says how it came out.
func clip(lines []string) []string {
	if len(lines) <= maxLines {
		return lines
	}
	head, tail := 2, maxLines-3
	out := append([]string(nil), lines[:head]...)
	out = append(out, fmt.Sprintf("… %d lines more", len(lines)-head-tail))
	return append(out, lines[len(lines)-tail:]...)
}

// target shortens "deployment/web container web".
func target(s string) string {
	w, c, ok := strings.Cut(s, " container ")
	if _, name, _ := strings.Cut(w, "/"); ok && name == c {
		return w
	}
	if ok {
		return w + " (" + c + ")"
	}
	return s
}
