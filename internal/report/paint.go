package report

import (
	"io"
	"os"
	"strings"

	"road/internal/step"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// maxWidth is how wide a text report gets, in columns: wider lines are hard to
// read and do not fit beside an editor.
const maxWidth = 100

// minWidth is what the tables need.
const minWidth = 72

// A painter knows how wide the output is and whether it shows colours. Nothing
// is said by colour alone.
type painter struct {
	width                                 int
	title, dim, bold                      lipgloss.Style
	bad, good, unknown                    lipgloss.Style // a verdict in words
	badCell, goodCell, unknownCell, empty lipgloss.Style // a cell of the matrix
	added, removed, hunk, file            lipgloss.Style // lines of a diff
}

// newPainter looks at where the output goes. Colours need a terminal and no
// NO_COLOR; lipgloss asks both.
func newPainter(w io.Writer) *painter {
	r := lipgloss.NewRenderer(w)
	style := func(fg string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(fg)) }
	cell := func(fg, bg string) lipgloss.Style { return style(fg).Background(lipgloss.Color(bg)).Bold(true) }
	p := &painter{
		width: maxWidth,
		title: r.NewStyle().Bold(true).Foreground(lipgloss.Color("4")), dim: style("8"), bold: r.NewStyle().Bold(true),
		bad: style("1").Bold(true), good: style("2"), unknown: style("3"),
		badCell: cell("15", "1"), goodCell: cell("15", "2"), unknownCell: cell("15", "8"), empty: r.NewStyle(),
		added: style("2"), removed: style("1"), hunk: style("6"), file: r.NewStyle().Bold(true),
	}
	if f, ok := w.(*os.File); ok {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil {
			p.width = max(minWidth, min(cols, maxWidth))
		}
	}
	return p
}

// verdict says a verdict in words, with a mark for those who skim. A tick is
// good for the application, not for the attacker.
func (p *painter) verdict(v step.Verdict) string {
	switch v {
	case step.Succeeded:
		return p.bad.Render("✗ succeeded")
	case step.Blocked:
		return p.good.Render("✓ blocked")
	}
	return p.unknown.Render("? unproven")
}

// cell is a verdict as one cell of the matrix, three columns wide.
func (p *painter) cell(v step.Verdict) string {
	switch v {
	case step.Succeeded:
		return p.badCell.Render(" ✗ ")
	case step.Blocked:
		return p.goodCell.Render(" ✓ ")
	}
	return p.unknownCell.Render(" ? ")
}

// rule is a line across the page with a text in it and another at its end.
func (p *painter) rule(left, right string) string {
	fill := p.width - ansi.StringWidth(left) - ansi.StringWidth(right) - 5
	if right != "" {
		right = " " + right
		fill--
	}
	return p.title.Render("━━ "+left) + " " + p.dim.Render(strings.Repeat("━", max(fill+1, 1))+right)
}

// pad fills s with blanks up to n columns.
func pad(s string, n int) string {
	if gap := n - ansi.StringWidth(s); gap > 0 {
		return s + strings.Repeat(" ", gap)
	}
	return s
}

// wrap breaks text into lines of at most n columns, at blanks where it can.
func wrap(text string, n int) []string {
	var out []string
	for _, line := range strings.Split(strings.ReplaceAll(text, "\t", "    "), "\n") {
		out = append(out, strings.Split(ansi.Wrap(strings.TrimRight(line, " "), max(n, 20), ""), "\n")...)
	}
	return out
}

// diff colours a unified diff.
func (p *painter) diff(text string) []string {
	var out []string
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "---"), strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "diff "):
			line = p.file.Render(line)
		case strings.HasPrefix(line, "@@"):
			line = p.hunk.Render(line)
		case strings.HasPrefix(line, "+"):
			line = p.added.Render(line)
		case strings.HasPrefix(line, "-"):
			line = p.removed.Render(line)
		}
		out = append(out, line)
	}
	return out
}
