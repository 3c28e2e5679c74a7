package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"road/internal/step"
	"road/internal/walk"
)

// Matrix writes nothing but every attack at every stop.
func Matrix(w io.Writer, r *walk.Report) error {
	b := bufio.NewWriter(w)
	t := &text{painter: newPainter(w), w: b, report: r}
	if len(r.Matrix.Rows) > 0 && len(r.Matrix.Stops) > 0 {
		t.cells()
	}
	return b.Flush()
}

// matrix writes every attack at every stop under a title.
func (t *text) matrix() {
	if len(t.report.Matrix.Rows) == 0 || len(t.report.Matrix.Stops) == 0 {
		return
	}
	t.line()
	t.line(t.rule("The road", ""))
	t.cells()
}

// cells writes the table itself, in blocks of as many stops as are wide enough
// together.
func (t *text) cells() {
	m := t.report.Matrix
	width := len("attack")
	for _, r := range m.Rows {
		width = max(width, len(r.Attack))
	}
	for _, m := range measures {
		width = max(width, len(m.name))
	}
	width += 4
	at := max((t.width-width-len(indent))/5, 1)
	if blocks := (len(m.Stops) + at - 1) / at; blocks > 1 {
		at = (len(m.Stops) + blocks - 1) / blocks // as even as they get
	}
	for from := 0; from < len(m.Stops); from += at {
		if from > 0 {
			t.line()
		}
		t.block(from, min(from+at, len(m.Stops)), width)
	}
	t.line()
	signs := []string{indent, t.cell(step.Succeeded), " succeeded   ", t.cell(step.Blocked), " blocked   ", t.cell(step.Unproven), " unproven"}
	const worst = "an attack on several containers shows the worst"
	if t.width >= 92 {
		t.line(append(signs, t.dim.Render("   "+worst))...)
		return
	}
	t.line(signs...)
	t.line(indent, t.dim.Render(worst))
}

// block writes every attack at the stops from one place up to another.
func (t *text) block(from, to, width int) {
	m := t.report.Matrix
	parts := []string{indent, pad("", width)}
	for _, s := range m.Stops[from:to] {
		parts = append(parts, pad(t.bold.Render(fmt.Sprintf("%d.0", s)), 5))
	}
	t.line(parts...)
	last := ""
	for _, r := range m.Rows {
		if r.Step != last {
			t.line(indent, t.dim.Render(fmt.Sprintf("%s %s", t.numberOf(r.Step), r.Step)))
			last = r.Step
		}
		t.row(r, from, to, width)
	}
	t.measures(m.Stops[from:to], width)
}

func (t *text) row(r walk.Row, from, to, width int) {
	parts := []string{indent, pad("  "+r.Attack, width)}
	for _, c := range r.Cells[from:to] {
		parts = append(parts, t.cell(c)+"  ")
	}
	t.line(parts...)
}

func (t *text) numberOf(name string) string {
	for _, s := range t.report.Stops {
		if s.Step == name {
			return fmt.Sprintf("%d.0", s.Number)
		}
	}
	return ""
}

// open names what is not closed at the last stop, and why.
func (t *text) open() {
	var lines [][3]string
	for _, r := range t.report.Matrix.Rows {
		n := len(r.Cells) - 1
		if n < 0 || n >= len(r.Details) || r.Cells[n] == step.Blocked {
			continue
		}
		c := r.Details[n]
		why := r.Open
		switch {
		case r.Cells[n] == step.Unproven:
			why = c.Reason
		case why == "":
			why = "succeeds on " + target(c.Target)
		}
		lines = append(lines, [3]string{string(r.Cells[n]), r.Attack, why})
	}
	if len(lines) == 0 {
		return
	}
	t.line()
	t.line(indent, t.bold.Render("not closed"))
	width := 0
	for _, l := range lines {
		width = max(width, len(l[1]))
	}
	for _, l := range lines {
		t.hanging(indent+pad(t.verdict(step.Verdict(l[0])), verdictWidth)+pad(l[1], width+2), len(indent)+verdictWidth+width+2, l[2])
	}
}

// summary ends the report with one line, and what keeps the walk from success.
func (t *text) summary() {
	r := t.report
	if len(r.Stops) == 0 {
		return
	}
	t.line()
	for _, s := range r.Shortfalls(false) {
		t.hanging(t.bad.Render("✗ "), 2, s)
	}
	last := r.Stops[len(r.Stops)-1]
	if len(r.Stops) == 1 {
		unproven := ""
		if n := len(r.UnprovenAt(last.Number)); n > 0 {
			unproven = fmt.Sprintf(" and %s are unproven", t.unknown.Render(fmt.Sprint(n)))
		}
		t.line(fmt.Sprintf("%s: %s of %d attacks succeed as it stands%s; %.1f s", r.App, t.number(len(r.SucceededAt(last.Number))), len(r.Matrix.Rows), unproven, r.Seconds))
		return
	}
	works := t.good.Render("the application works")
	if last.Works.Verdict != "works" {
		works = t.bad.Render("the application is broken")
	}
	// The application stands where its last step was taken.
	end := r.Stops[0].Number
	var out, without []string
	for _, s := range r.Stops {
		if s.Status == walk.LeftOut {
			out = append(out, fmt.Sprintf("%d.0", s.Number))
		} else {
			end, without = s.Number, out
		}
	}
	if len(out) > 0 {
		t.line(t.bad.Render(fmt.Sprintf("%d of %d steps left out", len(out), len(r.Stops)-1)))
	}
	parts := []string{fmt.Sprintf("%s: 1.0 → %d.0", r.App, end)}
	if len(without) > 0 {
		parts[0] += " without " + strings.Join(without, ", ")
	}
	if n := len(r.Matrix.Rows); n > 0 {
		parts = append(parts, fmt.Sprintf("of %d attacks %s", n, t.ends(end)))
	}
	t.hanging("", 0, strings.Join(append(parts, works, fmt.Sprintf("%.1f s", r.Seconds)), "; "))
}

// ends counts what succeeds at the first stop and the last. What is unproven there
// is counted too: it may succeed as well, and no zero may hide it.
func (t *text) ends(last int) string {
	first, end := t.number(len(t.report.SucceededAt(1))), t.number(len(t.report.SucceededAt(last)))
	if n := len(t.report.UnprovenAt(last)); n > 0 {
		return fmt.Sprintf("%s succeeded at 1.0, %s at %d.0 and %s unproven there", first, end, last, t.unknown.Render(fmt.Sprint(n)))
	}
	return fmt.Sprintf("%s succeeded at 1.0 and %s at %d.0", first, end, last)
}

func (t *text) number(n int) string {
	if n > 0 {
		return t.bad.Render(fmt.Sprint(n))
	}
	return t.good.Render("0")
}
