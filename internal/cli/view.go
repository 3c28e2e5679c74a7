package cli

import (
	"fmt"
	"io"
	"math"
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
//
// Stops are shown in their order, though work on several goes on at once: the
// lines of a stop are held until those before it are over.
type view struct {
	w      io.Writer
	live   bool
	quiet  bool
	begun  time.Time
	styles viewStyles

	mu    sync.Mutex
	now   string    // what is going on on the road; "" for nothing
	more  string    // a line from inside it
	since time.Time // when it began
	order []int     // stops that are not over, the first is shown
	over  map[int]bool
	held  map[int][]string // lines of stops whose turn has not come
	raids []*raid          // attacks that go on beside the road, in the order of their beginning
	stops []int            // all of the walk
	first map[string]int   // the first attack of each step: the number of its stop
	shown map[string]bool  // what came of those, by stop
	told  time.Time        // when the last plain line was written
	frame int
	done  chan struct{}
}

type viewStyles struct{ title, dim, good, bad, unknown lipgloss.Style }

// A raid is the attacks on one variant of the application that are going on.
type raid struct {
	stop  int
	phase walk.Phase
	marks []step.Verdict // their outcomes so far
	going []string       // their names
}

// spin is what shows that time passes.
var spin = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

// heartbeat is how often a long phase says something where lines are plain.
const heartbeat = 10 * time.Second

// labelWidth is that of a phase's name, hang how far in a line goes on.
const (
	labelWidth = 9
	hang       = 5 + labelWidth
)

func (c *command) view() *view {
	r := lipgloss.NewRenderer(c.stderr)
	color := func(c string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(c)) }
	v := &view{w: c.stderr, quiet: c.quiet, begun: time.Now(), done: make(chan struct{}),
		over: map[int]bool{}, held: map[int][]string{}, first: map[string]int{}, shown: map[string]bool{},
		styles: viewStyles{r.NewStyle().Bold(true), color("8"), color("2"), color("1").Bold(true), color("3")}}
	f, ok := c.stderr.(*os.File)
	for i, s := range road() {
		if len(s.Attacks) > 0 {
			v.first[s.Attacks[0].Name] = i + 2
		}
	}
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
	v.now, v.raids = "", nil
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

// wide is how wide finished lines get before they go on below.
func (v *view) wide() int { return max(v.columns()-hang, 40) }

// paint writes the moving line.
func (v *view) paint() {
	if !v.live || v.now == "" && len(v.raids) == 0 {
		return
	}
	line := "  " + spin[v.frame%len(spin)]
	if v.now != "" {
		line += fmt.Sprintf(" %s  %s  %s", v.now, seconds(time.Since(v.since)), v.styles.dim.Render(v.more))
	}
	line = strings.TrimRight(line, " ") + v.beside()
	io.WriteString(v.w, "\r\x1b[2K"+ansi.Truncate(line, v.columns()-1, "…"))
}

// beside tells what goes on beside the road: which stops are attacked, by what,
// and how it goes for the first of them.
func (v *view) beside() string {
	if len(v.raids) == 0 {
		return ""
	}
	var stops, going []string
	for _, r := range v.raids {
		if name := fmt.Sprintf("%d.0", r.stop); !slices.Contains(stops, name) {
			stops = append(stops, name)
		}
		for _, a := range r.going {
			if !slices.Contains(going, a) {
				going = append(going, a)
			}
		}
	}
	return "  attacking " + strings.Join(stops, " ") + "  " + v.strip(v.raids[0].marks, v.columns()/3) + "  " + v.styles.dim.Render(strings.Join(going, ", "))
}

// tell writes a finished line of a stop when its turn has come; stop 0 is none.
func (v *view) tell(stop int, format string, args ...any) {
	if len(v.order) > 0 && stop != v.order[0] && slices.Contains(v.order, stop) {
		v.held[stop] = append(v.held[stop], fmt.Sprintf(format, args...))
		return
	}
	v.line(format, args...)
}

// ended lets those stops be shown whose turn has come.
func (v *view) ended(stop int) {
	v.over[stop] = true
	for len(v.order) > 0 && v.over[v.order[0]] {
		if v.order = v.order[1:]; len(v.order) == 0 {
			break
		}
		for _, l := range v.held[v.order[0]] {
			v.line("%s", l)
		}
		delete(v.held, v.order[0])
	}
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
	wrapped := strings.Split(ansi.Wrap(strings.TrimRight(text, " "), v.wide(), ""), "\n")
	fmt.Fprintln(v.w, strings.Join(wrapped, "\n"+strings.Repeat(" ", hang)))
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
		for _, h := range e.Stops {
			v.order = append(v.order, h.Number)
			v.stops = append(v.stops, h.Number)
		}
		v.line("%s  %s", v.styles.title.Render(e.App), v.styles.dim.Render(strings.TrimSpace(e.Engine.Runtime+"  kernel "+e.Engine.Kernel)))
	case walk.StopStarted:
		v.tell(e.Number, "%s", v.styles.title.Render(fmt.Sprintf("%d.0  %s", e.Number, e.Title)))
	case walk.PhaseStarted:
		v.phaseStarted(e)
	case walk.Progress:
		v.more = e.Line
		if !v.live && time.Since(v.told) > heartbeat {
			v.line("%s", e.Line)
		}
	case walk.PhaseDone:
		v.phaseDone(e)
	case walk.CheckDone:
		v.tell(e.Stop, "  %s %-*s %s: %s", v.mark(e.Check.OK), labelWidth, "check", e.Check.Name, e.Check.Detail)
	case walk.AttackStarted:
		if r := v.raid(e.Stop, e.Side); r != nil {
			r.going = append(r.going, e.Attack)
		}
	case walk.AttackDone:
		v.attackDone(e)
	case walk.Found:
		v.tell(e.Stop, "  %s %-*s %s", v.styles.dim.Render("±"), labelWidth, "fix", changed(e.Diff))
	case walk.StopDone:
		v.stopDone(e.Stop)
	case walk.Note:
		v.tell(e.Stop, "  %s %-*s %s", v.styles.unknown.Render("!"), labelWidth, "note", e.Text)
	}
	v.paint()
}

func (v *view) mark(ok bool) string {
	if ok {
		return v.styles.good.Render("✓")
	}
	return v.styles.bad.Render("✗")
}

func attacking(p walk.Phase) bool { return p == walk.Attacking || p == walk.Control }

func (v *view) phaseStarted(e walk.PhaseStarted) {
	if attacking(e.Phase) {
		v.raids = append(v.raids, &raid{stop: e.Stop, phase: e.Phase})
		return
	}
	v.now, v.since, v.more = strings.TrimSpace(fmt.Sprintf("%d.0 %s  %s", e.Stop, e.Phase, e.Detail)), time.Now(), ""
}

func (v *view) phaseDone(e walk.PhaseDone) {
	mark, detail, label := v.mark(e.OK), e.Detail, string(e.Phase)
	took := seconds(time.Duration(e.Seconds * float64(time.Second)))
	if e.Phase == walk.Control && !slices.Contains(v.order, e.Stop) {
		label = fmt.Sprintf("%d.0 %s", e.Stop, label) // its stop is over
	}
	if attacking(e.Phase) {
		if i := slices.IndexFunc(v.raids, func(r *raid) bool { return r.stop == e.Stop && r.phase == e.Phase }); i >= 0 {
			if e.OK {
				mark = v.styles.dim.Render("•")
				if marks := v.raids[i].marks; len(marks) <= v.room(label, detail, took) { // else its detail counts them
					detail = strings.TrimSpace(v.strip(marks, len(marks)) + "  " + detail)
				}
			}
			v.raids = slices.Delete(v.raids, i, i+1)
		}
	} else {
		v.now = ""
	}
	if (e.Phase == walk.Checking || e.Phase == walk.Measuring) && e.OK {
		v.wipe()
		return // each check has its line
	}
	v.tell(e.Stop, "  %s %-*s %s  %s", mark, labelWidth, label, detail, v.styles.dim.Render(took))
}

// raid finds the attacks that go on on one side of a stop.
func (v *view) raid(stop int, side walk.Side) *raid {
	phase := walk.Control
	if side == walk.InSequence {
		phase = walk.Attacking
	}
	for _, r := range v.raids {
		if r.stop == stop && r.phase == phase {
			return r
		}
	}
	return nil
}

func (v *view) attackDone(e walk.AttackDone) {
	r := v.raid(e.Stop, e.Side)
	if r == nil {
		return
	}
	if i := slices.Index(r.going, e.Attack); i >= 0 {
		r.going = slices.Delete(r.going, i, i+1)
	}
	verdict := e.Cell.Verdict
	if verdict != step.Succeeded && verdict != step.Blocked {
		verdict = step.Unproven
	}
	r.marks = append(r.marks, verdict)
	v.tellAttack(e)
}

// evidenceWidth is how many characters of an attack's evidence a line shows.
const evidenceWidth = 200

// tellAttack shows what came of the first attack of a step, at its stop and at the
// one before: the same line that went through there, and bounces off here.
func (v *view) tellAttack(e walk.AttackDone) {
	at := slices.Index(v.stops, v.first[e.Attack])
	key := fmt.Sprint(e.Stop, e.Attack)
	if at < 1 || e.Side != walk.InSequence || e.Stop != v.stops[at] && e.Stop != v.stops[at-1] || v.shown[key] {
		return
	}
	v.shown[key] = true
	said := e.Cell.Evidence
	if e.Cell.Verdict == step.Unproven {
		said = e.Cell.Reason
	}
	said = ansi.Truncate(strings.Join(strings.FieldsFunc(said, func(r rune) bool { return r == '\n' }), " · "), evidenceWidth, "…")
	v.tell(e.Stop, "  %s %-*s %s: %s", v.strip([]step.Verdict{e.Cell.Verdict}, 1), labelWidth, "attack", e.Attack, said)
}

// room is how wide the strip of a finished line may be on this terminal, so that
// the line is one.
func (v *view) room(label, detail, took string) int {
	if !v.live {
		return math.MaxInt
	}
	const gaps = 2 + 2 + 1 + 2 + 2 // before and behind the mark, and between the parts
	return v.wide() - gaps - max(labelWidth, ansi.StringWidth(label)) - ansi.StringWidth(detail) - ansi.StringWidth(took)
}

// strip shows how attacks came out: a sign for each in their order, or where that
// takes more than room, how many of each.
func (v *view) strip(marks []step.Verdict, room int) string {
	sign := map[step.Verdict]string{step.Succeeded: v.styles.bad.Render("✗"), step.Blocked: v.styles.good.Render("✓"), step.Unproven: v.styles.unknown.Render("?")}
	many := map[step.Verdict]int{}
	strip := ""
	for _, m := range marks {
		strip += sign[m]
		many[m]++
	}
	if len(marks) <= room {
		return strip
	}
	var counts []string
	for _, m := range []step.Verdict{step.Succeeded, step.Blocked, step.Unproven} {
		if many[m] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", many[m], sign[m]))
		}
	}
	return strings.Join(counts, "  ")
}

func (v *view) stopDone(s *walk.Stop) {
	switch s.Status {
	case walk.LeftOut:
		v.tell(s.Number, "  %s %-*s %s", v.styles.bad.Render("✗"), labelWidth, "left out", s.Reason)
	case walk.Already:
		v.tell(s.Number, "  %s %-*s %s", v.styles.good.Render("✓"), labelWidth, "already", "nothing to change")
	}
	v.ended(s.Number)
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
