// Package docs writes the chapters of the road, one a step: what the step says of
// itself, what it changes in the demo, and what its attacks came to in a real
// walk that was recorded. The files beside it are these chapters; its test says
// when they are stale and, with -update, writes them.
package docs

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"road/internal/step"
	"road/internal/walk"
)

// recorded is a walk of the demo as make docs recorded it.
//
//go:embed walk.json
var recorded []byte

// Record gives the recorded walk: a report without what no chapter shows.
func Record() *walk.Report {
	r := &walk.Report{}
	if err := json.Unmarshal(recorded, r); err != nil {
		panic(fmt.Sprintf("docs: the recorded walk: %v", err)) // a fault of the build, which the test finds
	}
	return r
}

// Chapter gives the chapter of the step that leads to a stop, as Markdown. A step
// that the record r does not know yet gets one without transcripts.
func Chapter(r *walk.Report, number int, s *step.Step) string {
	c := &chapter{number: number, step: s}
	for i, stop := range r.Stops {
		if stop.Step == s.Name && i > 0 {
			c.before, c.at = r.Stops[i-1], stop
		}
	}
	c.first = map[string]walk.Cell{}
	for _, row := range r.Matrix.Rows {
		if len(row.Details) > 0 {
			c.first[row.Attack] = row.Details[0]
		}
	}
	c.write()
	return strings.TrimSpace(c.String()) + "\n"
}

// A section is a heading of an explanation with its text; the heading of what
// stands before the first is empty.
type section struct{ heading, text string }

// sections takes an explanation apart.
func sections(explain string) []section {
	out := []section{{}}
	fenced := false
	for line := range strings.Lines(strings.TrimSpace(explain) + "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		if h, ok := strings.CutPrefix(line, "## "); ok && !fenced {
			out = append(out, section{heading: strings.TrimSpace(h)})
			continue
		}
		out[len(out)-1].text += line
	}
	for i := range out {
		out[i].text = strings.TrimSpace(out[i].text)
	}
	return out
}
