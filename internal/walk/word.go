package walk

import (
	"strings"

	"road/internal/app"
	"road/internal/step"
)

// wordLines and wordBytes bound what a reason tells of a log: who fails often says
// why some lines above the last.
const (
	wordLines = 4
	wordBytes = 400
)

// learnLines is how much of a log a step may learn from.
const learnLines = 40

// lastWords gives the last lines of a log, behind what they are the reason of.
func (w *walker) lastWords(logs string) string {
	var last []string
	for line := range strings.Lines(logs) {
		if line = w.mask.line(strings.TrimSpace(line)); line != "" {
			last = append(last, line)
		}
	}
	last = last[max(0, len(last)-wordLines):]
	text := strings.Join(last, " | ")
	if cut := len(text) - wordBytes; cut > 0 {
		text = "..." + strings.ToValidUTF8(text[cut:], "")
	}
	switch len(last) {
	case 0:
		return ""
	case 1:
		return "; its last line: " + text
	}
	return "; its last lines: " + text
}

// keptBy gives what each workload keeps, as the step would change a.
func keptBy(s *step.Step, a *app.App) map[string][]string {
	out := map[string][]string{}
	if s.Keeps != nil {
		for _, wl := range a.Workloads {
			out[wl.ID()] = s.Keeps(a, wl.ID())
		}
	}
	return out
}

// conceded says what a workload needed, by trial, and what the step leaves it.
func (w *walker) conceded(t *taken, workload string) []string {
	var out []string
	if kept := t.kept[workload]; kept != "" {
		out = append(out, w.mask.line("needs "+kept))
	}
	for _, k := range t.keeps[workload] {
		out = append(out, w.mask.line("keeps "+k))
	}
	return out
}
