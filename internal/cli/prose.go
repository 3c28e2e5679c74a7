package cli

import (
	"bufio"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// proseWidth is how wide text to read gets, in columns.
const proseWidth = 80

// A prose writes simple Markdown as text that reads well on a terminal: titles,
// paragraphs wrapped, lists, quoted and fenced blocks as they are.
type prose struct {
	w                    *bufio.Writer
	width                int
	strong, accent, code lipgloss.Style
	plain                bool // no colours: keep the marks that tell code from text
}

func newProse(w io.Writer) *prose {
	r := lipgloss.NewRenderer(w)
	p := &prose{w: bufio.NewWriter(w), width: proseWidth, strong: r.NewStyle().Bold(true),
		accent: r.NewStyle().Bold(true).Foreground(lipgloss.Color("4")), code: r.NewStyle().Foreground(lipgloss.Color("6"))}
	p.plain = p.code.Render("x") == "x"
	if f, ok := w.(*os.File); ok {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil {
			p.width = max(40, min(cols, proseWidth))
		}
	}
	return p
}

func (p *prose) flush() error { return p.w.Flush() }

func (p *prose) line(s string) { p.w.WriteString(strings.TrimRight(s, " ") + "\n") }

func (p *prose) title(s string) {
	p.line(p.accent.Render(s))
	p.line("")
}

func (p *prose) heading(s string) {
	p.line(p.strong.Render(s))
	p.line("")
}

func (p *prose) wrapped(first, rest, text string) {
	for i, l := range strings.Split(ansi.Wordwrap(p.inline(text), p.width-len(rest), ""), "\n") {
		if i == 0 {
			p.line(first + l)
			continue
		}
		p.line(rest + l)
	}
}

var (
	codeSpan = regexp.MustCompile("`([^`]+)`")
	boldSpan = regexp.MustCompile(`\*\*([^*]+)\*\*`)
	emphasis = regexp.MustCompile(`(^|[\s(])[_*]([^_*\s][^_*]*)[_*]($|[\s.,;:!?)])`)
	linkSpan = regexp.MustCompile(`\[([^\]]+)\]\(([^)]+)\)`)
	listItem = regexp.MustCompile(`^(\s*)([-*+]|[0-9]+[.)])\s+(.*)$`)
)

// inline renders what stands inside a paragraph. Code spans are kept from the
// other rules.
func (p *prose) inline(s string) string {
	var b strings.Builder
	last := 0
	text := func(s string) string {
		s = linkSpan.ReplaceAllString(s, "$1 ($2)")
		s = boldSpan.ReplaceAllStringFunc(s, func(m string) string { return p.strong.Render(m[2 : len(m)-2]) })
		return emphasis.ReplaceAllString(s, "$1$2$3")
	}
	for _, m := range codeSpan.FindAllStringSubmatchIndex(s, -1) {
		b.WriteString(text(s[last:m[0]]))
		if p.plain {
			b.WriteString(s[m[0]:m[1]])
		} else {
			b.WriteString(p.code.Render(s[m[2]:m[3]]))
		}
		last = m[1]
	}
	b.WriteString(text(s[last:]))
	return b.String()
}

// markdown writes a text and an empty line behind it.
func (p *prose) markdown(text string) {
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); {
		line := lines[i]
		switch {
		case strings.TrimSpace(line) == "":
			i++
		case strings.HasPrefix(strings.TrimSpace(line), "```"):
			i = p.fence(lines, i+1)
		case strings.HasPrefix(line, "# "):
			p.title(line[2:])
			i++
		case strings.HasPrefix(line, "#"):
			p.heading(strings.TrimLeft(line, "# "))
			i++
		case strings.HasPrefix(line, "|"), strings.HasPrefix(line, "    "):
			for ; i < len(lines) && strings.TrimSpace(lines[i]) != "" && (lines[i][0] == '|' || lines[i][0] == ' '); i++ {
				p.line("  " + strings.TrimPrefix(lines[i], "  "))
			}
			p.line("")
		case listItem.MatchString(line):
			i = p.list(lines, i)
		default:
			var par []string
			for ; i < len(lines) && continues(lines[i]); i++ {
				par = append(par, strings.TrimSpace(lines[i]))
			}
			p.wrapped("", "", strings.Join(par, " "))
			p.line("")
		}
	}
}

// continues says whether a line goes on with the paragraph before it.
func continues(line string) bool {
	t := strings.TrimSpace(line)
	return t != "" && !strings.HasPrefix(t, "```") && !strings.HasPrefix(line, "#") && !listItem.MatchString(line)
}

// fence writes the lines of a fenced block as they are.
func (p *prose) fence(lines []string, i int) int {
	for ; i < len(lines) && !strings.HasPrefix(strings.TrimSpace(lines[i]), "```"); i++ {
		line := "    " + lines[i]
		if !p.plain {
			line = p.code.Render(strings.ReplaceAll(line, "\t", "    "))
		}
		p.line(line)
	}
	p.line("")
	return i + 1
}

// list writes a list up to the empty line behind it.
func (p *prose) list(lines []string, i int) int {
	for i < len(lines) {
		m := listItem.FindStringSubmatch(lines[i])
		if m == nil {
			break
		}
		text := m[3]
		for i++; i < len(lines) && continues(lines[i]); i++ {
			text += " " + strings.TrimSpace(lines[i])
		}
		mark := m[1] + m[2] + " "
		if m[2] == "*" || m[2] == "+" {
			mark = m[1] + "- "
		}
		p.wrapped("  "+mark, "  "+strings.Repeat(" ", len(mark)), text)
	}
	p.line("")
	return i
}
