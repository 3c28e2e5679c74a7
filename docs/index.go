package docs

import (
	"fmt"
	"slices"
	"strings"

	"road/internal/report"
	"road/internal/step"
	"road/internal/walk"
)

// Index gives the page that leads to the chapters.
func Index(r *walk.Report, road []*step.Step) string {
	return indexHead + Table("", r, road) + indexMatrix + Matrix(r) + left(r, road) + indexFoot
}

const indexHead = `<!-- Written by make docs. -->

# The road

The application as first released is 1.0. Each step leads to the next number,
and each chapter says what changed, which attacks it stops, seen in a real walk,
what it can break and what stays open.

`

const indexMatrix = `
## Every attack at every stop

This is the end of a walk of the demo. Each cell is the same real attack, at
another stop.

`

const indexFoot = `
**A common mistake** of writing about hardening is to stop attacking half-way: the
first steps are shown with an exploit that fails, and from the fifth on there is
only configuration, which is to be taken on trust. Here every stop is attacked,
with every attack of the road, and each step twice: where it stands on the road,
and alone on top of 1.0, so that nobody takes the work of an earlier step for that
of a later one. (Admission, which would refuse 1.0's own pods, is asked by itself.) A cell that nothing proves is a question mark and never a tick.

[Server programs of the distribution](servers.md), walked the same way: what each
of them needs, and what it was spared.

` + "`make docs`" + ` walks the demo for real, records the walk in ` + "`docs/walk.json`" + ` and
writes these pages from it and from the steps' own explanations.
`

// left lists what the record shows to succeed at the end, and what it lacks, each
// with the reason.
func left(r *walk.Report, road []*step.Step) string {
	closed := map[string]bool{}
	for _, row := range r.Matrix.Rows {
		closed[row.Attack] = len(row.Cells) > 0 && row.Cells[len(row.Cells)-1] == step.Blocked
	}
	var b strings.Builder
	b.WriteString("\nWhat the road leaves open, and why:\n\n")
	for _, s := range road {
		for _, a := range s.Attacks {
			if a.Open != "" && !closed[a.Name] {
				fmt.Fprintf(&b, "- `%s`, to %s: %s.\n", a.Name, a.Goal, strings.TrimSuffix(a.Open, "."))
			}
		}
	}
	return b.String()
}

// Table lists the steps with links to their chapters below a folder, and the
// attacks that the record shows each of them to block.
func Table(folder string, r *walk.Report, road []*step.Step) string {
	var b strings.Builder
	b.WriteString("| stop | step | what it does | attacks that it stops |\n|---|---|---|---|\n")
	for i, s := range road {
		var stops, unproven []string
		for _, a := range s.Attacks {
			name := strings.ReplaceAll(a.Name, "-", " ")
			switch {
			case a.Open != "":
			case blockedAt(r, a.Name, i+2):
				stops = append(stops, name)
			default:
				unproven = append(unproven, name)
			}
		}
		said := strings.Join(stops, ", ")
		if len(unproven) > 0 {
			said = strings.TrimPrefix(said+"; unproven: "+strings.Join(unproven, ", "), "; ")
		}
		fmt.Fprintf(&b, "| %d.0 | [`%s`](%s%s.md) | %s | %s |\n", i+2, s.Name, folder, s.Name, s.Title, said)
	}
	return b.String()
}

// blockedAt says whether a record shows an attack to be blocked at a stop.
func blockedAt(r *walk.Report, attack string, stop int) bool {
	at := slices.Index(r.Matrix.Stops, stop)
	return at >= 0 && slices.ContainsFunc(r.Matrix.Rows, func(row walk.Row) bool {
		return row.Attack == attack && at < len(row.Cells) && row.Cells[at] == step.Blocked
	})
}

// Matrix gives every attack at every stop as a block of Markdown.
func Matrix(r *walk.Report) string {
	var b strings.Builder
	if err := report.Matrix(&b, r); err != nil {
		panic(fmt.Sprintf("docs: %v", err)) // a Builder takes everything
	}
	return "```text\n" + strings.Trim(b.String(), "\n") + "\n```\n"
}

// Session gives one attack of the record as road walk shows it, as a block of
// Markdown.
func Session(r *walk.Report, attack string) string {
	var b strings.Builder
	for _, s := range r.Stops {
		for _, a := range s.Attacks {
			if a.Name != attack || b.Len() > 0 {
				continue
			}
			fmt.Fprintf(&b, "```text\n$ make demo\n...\n%s  by %s: %s\n  %-40s ✗ %s  ✓ %s\n", a.Name, a.Transport, a.Goal, container(a.Target), a.Before.Verdict, a.After.Verdict)
			told(&b, fmt.Sprintf("%d.0", s.Number-1), a.Before.Evidence)
			told(&b, fmt.Sprintf("%d.0", s.Number), a.After.Evidence)
			b.WriteString("...\n```\n")
		}
	}
	return b.String()
}

// told writes what shows a verdict beside the stop where it was seen.
func told(b *strings.Builder, stop, evidence string) {
	for line := range strings.Lines(evidence) {
		fmt.Fprintf(b, "    %-4s │ %s\n", stop, strings.TrimRight(line, "\n"))
		stop = ""
	}
}
