package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"road/internal/step"
	"road/internal/walk"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
	"golang.org/x/term"
)

// A view shows a walk while it goes on, on stderr. On a terminal the last line
// tells what is going on now and for how long, and is written anew in place;
// finished lines stay. Elsewhere there are plain lines with the time since the
// start. One lock guards every write, so lines never mix; nothing of the
// terminal is changed that an interruption would leave behind.
type view struct {
	w      io.Writer
	live   bool
	quiet  bool
	begun  time.Time
	styles viewStyles

	mu    sync.Mutex
	now   string    // what is going on; "" for nothing
	more  string    // a line from inside it
	marks string    // the outcomes of the attacks that are going on
	going []string  // the attacks that are going on
	since time.Time // when it began
	told  time.Time // when the last plain line was written
	frame int
	done  chan struct{}
}

type viewStyles struct{ title, dim, good, bad, unknown lipgloss.Style }

// spin is what shows that time passes.
var spin = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// heartbeat is how often a long phase says something where lines are plain.
const heartbeat = 10 * time.Second

// labelWidth is that of a phase's name.
const labelWidth = 9

func (c *command) view() *view {
	r := lipgloss.NewRenderer(c.stderr)
	color := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	v := &view{w: c.stderr, quiet: c.quiet, begun: time.Now(), done: make(chan struct{}),
		styles: viewStyles{r.NewStyle().Bold(true), color("8"), color("2"), color("1").Bold(true), color("3")}}
	f, ok := c.stderr.(*os.File)
	v.live = ok && !c.quiet && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
	if v.live {
		go v.tick()
	}
	return v
}

func (v *view) tick() {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-v.done:
			return
		case <-t.C:
			v.mu.Lock()
			v.frame++
			v.paint()
			v.mu.Unlock()
		}
	}
}

// close takes the moving line away. No event may come afterwards.
func (v *view) close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = ""
	v.wipe()
	select {
	case <-v.done:
	default:
		close(v.done)
	}
}

func (v *view) wipe() {
	if v.live {
		io.WriteString(v.w, "\r\x1b[2K")
	}
}

// columns asks the terminal each time: terminals get resized, and a line that
// wraps cannot be written in place.
func (v *view) columns() int {
	if n, _, err := term.GetSize(int(v.w.(*os.File).Fd())); err == nil && n > 0 {
		return n
	}
	return 80
}

// paint writes the moving line.
func (v *view) paint() {
	if !v.live || v.now == "" {
		return
	}
	line := fmt.Sprintf("  %s %s  %s", spin[v.frame%len(spin)], v.now, seconds(time.Since(v.since)))
	if v.marks != "" {
		line += "  " + v.marks
	}
	if v.more != "" {
		line += "  " + v.styles.dim.Render(v.more)
	}
	io.WriteString(v.w, "\r\x1b[2K"+ansi.Truncate(line, v.columns()-1, "…"))
}

// line writes a finished line, above the moving one where there is one.
func (v *view) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !v.live {
		fmt.Fprintf(v.w, "%7s  %s\n", seconds(time.Since(v.begun)), strings.TrimSpace(text))
		v.told = time.Now()
		return
	}
	v.wipe()
	hang := strings.Repeat(" ", 5+labelWidth)
	wrapped := strings.Split(ansi.Wrap(strings.TrimRight(text, " "), max(v.columns()-len(hang), 40), ""), "\n")
	fmt.Fprintln(v.w, strings.Join(wrapped, "\n"+hang))
	v.paint()
}

func seconds(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}

// event shows one event.
func (v *view) event(e walk.Event) {
	if v.quiet {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch e := e.(type) {
	case walk.Begun:
		v.line("%s  %s", v.styles.title.Render(e.App), v.styles.dim.Render(strings.TrimSpace(e.Engine.Runtime+"  kernel "+e.Engine.Kernel)))
	case walk.StopStarted:
		v.line("%s", v.styles.title.Render(fmt.Sprintf("%d.0  %s", e.Number, e.Title)))
	case walk.PhaseStarted:
		v.now, v.since, v.more, v.marks, v.going = strings.TrimSpace(fmt.Sprintf("%-*s %s", labelWidth, e.Phase, e.Detail)), time.Now(), "", "", nil
		v.paint()
	case walk.Progress:
		v.more = e.Line
		if !v.live && time.Since(v.told) > heartbeat {
			v.line("%s", e.Line)
		}
		v.paint()
	case walk.PhaseDone:
		v.phaseDone(e)
	case walk.CheckDone:
		v.line("  %s %-*s %s: %s", v.mark(e.Check.OK), labelWidth, "check", e.Check.Name, e.Check.Detail)
	case walk.AttackStarted:
		v.going = append(v.going, e.Attack)
		v.more = strings.Join(v.going, ", ")
		v.paint()
	case walk.AttackDone:
		v.attackDone(e)
	case walk.Found:
		v.line("  %s %-*s %s", v.styles.dim.Render("±"), labelWidth, "fix", changed(e.Diff))
	case walk.StopDone:
		v.stopDone(e.Stop)
	case walk.Note:
		v.line("  %s %-*s %s", v.styles.unknown.Render("!"), labelWidth, "note", e.Text)
	}
}

func (v *view) mark(ok bool) string {
	if ok {
		return v.styles.good.Render("✓")
	}
	return v.styles.bad.Render("✗")
}

func (v *view) phaseDone(e walk.PhaseDone) {
	v.now = ""
	mark, detail := v.mark(e.OK), e.Detail
	switch {
	case e.Phase == walk.Checking && e.OK:
		v.wipe()
		return // each check has its line
	case e.OK && (e.Phase == walk.Attacking || e.Phase == walk.Control):
		mark = v.styles.dim.Render("•")
		detail = strings.TrimSpace(v.marks + "  " + detail)
	}
	v.line("  %s %-*s %s  %s", mark, labelWidth, e.Phase, detail, v.styles.dim.Render(seconds(time.Duration(e.Seconds*float64(time.Second)))))
}

func (v *view) attackDone(e walk.AttackDone) {
	if i := slices.Index(v.going, e.Attack); i >= 0 {
		v.going = slices.Delete(v.going, i, i+1)
	}
	switch e.Cell.Verdict {
	case step.Succeeded:
		v.marks += v.styles.bad.Render("✗")
	case step.Blocked:
		v.marks += v.styles.good.Render("✓")
	default:
		v.marks += v.styles.unknown.Render("?")
	}
	v.more = strings.Join(v.going, ", ")
	v.paint()
}

func (v *view) stopDone(s *walk.Stop) {
	switch s.Status {
	case walk.LeftOut:
		v.line("  %s %-*s %s", v.styles.bad.Render("✗"), labelWidth, "left out", s.Reason)
	case walk.Already:
		v.line("  %s %-*s %s", v.styles.good.Render("✓"), labelWidth, "already", "nothing to change")
	}
}

// changed sums up a unified diff: "app/Dockerfile +6, manifests/web.yaml +4 -1".
func changed(diff string) string {
	var files []string
	name, plus, minus := "", 0, 0
	add := func() {
		if name == "" {
			return
		}
		s := fmt.Sprintf("%s +%d", name, plus)
		if minus > 0 {
			s += fmt.Sprintf(" -%d", minus)
		}
		files = append(files, s)
	}
	for line := range strings.Lines(diff) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "+++ "):
			name, plus, minus = strings.TrimPrefix(line[4:], "b/"), 0, 0
		case strings.HasPrefix(line, "--- "):
			add()
			name = ""
		case strings.HasPrefix(line, "+"):
			plus++
		case strings.HasPrefix(line, "-"):
			minus++
		}
	}
	add()
	return strings.Join(files, ", ")
}
