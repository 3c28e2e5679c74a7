package docs

import (
	"fmt"
	"slices"
	"strings"

	"road/internal/step"
	"road/internal/walk"
)

// Sections that the chapter adds to.
const (
	changes  = "What changes?"
	prevents = "What does this prevent?"
	open     = "What stays open?"
	try      = "Try it yourself"
)

// A chapter is one that is being written.
type chapter struct {
	strings.Builder
	number     int
	step       *step.Step
	before, at *walk.Stop           // as recorded; nil where the record lacks the step
	first      map[string]walk.Cell // each attack at 1.0
}

// write puts the chapter together: the explanation's own sections in its order,
// the demo's diff and the recorded attacks among them.
func (c *chapter) write() {
	list := sections(c.step.Explain)
	c.head(list[0].text)
	has := func(heading string) bool {
		return slices.ContainsFunc(list, func(s section) bool { return s.heading == heading })
	}
	if !has(open) && slices.ContainsFunc(c.step.Attacks, func(a step.Attack) bool { return a.Open != "" }) {
		list = append(list, section{heading: open})
	}
	for _, s := range list[1:] {
		c.heading(s.heading)
		if s.heading == changes {
			c.diff()
		}
		c.paragraph(s.text)
		switch s.heading {
		case prevents:
			c.seen()
		case open:
			c.stillOpen()
		}
	}
	c.attacks()
	c.heading("Where others ask for it")
	for _, r := range c.step.Refs {
		fmt.Fprintf(c, "- %s %s\n", r.Framework, r.ID)
	}
}

// head writes the title with the stop's number, and the welcome.
func (c *chapter) head(text string) {
	title, rest, _ := strings.Cut(text, "\n")
	c.paragraph(fmt.Sprintf("# %d.0: %s", c.number, strings.TrimPrefix(title, "# ")))
	rest = strings.TrimSpace(rest)
	if !strings.HasPrefix(rest, "Welcome") {
		rest = strings.TrimSpace(fmt.Sprintf("Welcome to %d.0! %s", c.number, rest))
	}
	c.paragraph(rest)
}

func (c *chapter) heading(text string) { c.paragraph("## " + text) }

func (c *chapter) paragraph(text string) {
	if text != "" {
		c.WriteString(text + "\n\n")
	}
}

// fence shows lines as they came.
func (c *chapter) fence(kind, text string) {
	c.paragraph("```" + kind + "\n" + strings.TrimRight(text, "\n") + "\n```")
}

// diff shows what the step changes in the demo.
func (c *chapter) diff() {
	if c.at == nil || c.at.Diff == "" {
		return
	}
	c.paragraph(fmt.Sprintf("Here is what is new in the demo since %d.0:", c.before.Number))
	c.fence("diff", c.at.Diff)
}

// seen shows the attacks that the step stops, as they went in the recorded walk.
func (c *chapter) seen() {
	if c.at == nil {
		return
	}
	for i, a := range c.step.Attacks {
		results := c.results(a.Name)
		if a.Open != "" || len(results) == 0 {
			continue
		}
		if i == 0 {
			c.paragraph("This is how the attacks went in a real walk of the demo.")
		}
		c.paragraph(fmt.Sprintf("### `%s`: %s", a.Name, a.Goal))
		c.transcript(results[0])
		for _, other := range results[1:] {
			c.paragraph(same(results[0], other))
		}
	}
	c.node()
}

// transcript shows one attack before and after the step.
func (c *chapter) transcript(r *walk.AttackResult) {
	on := "On `" + container(r.Target) + "`, " + by[r.Transport]
	switch {
	case r.Before.Verdict == step.Succeeded:
		c.paragraph(fmt.Sprintf("%s. At %d.0 it succeeds:", on, c.before.Number))
		c.fence("text", r.Before.Evidence)
		c.paragraph(fmt.Sprintf("At %d.0 %s:", c.number, verdict(r.After)))
		c.fence("text", lines(r.After))
	default:
		c.paragraph(fmt.Sprintf("%s. At 1.0 it succeeds:", on))
		c.fence("text", c.first[r.Name].Evidence)
		c.paragraph(fmt.Sprintf("%d.0 has closed it on the road already. With this step alone, 1.0 and nothing else, %s:", r.ClosedBy, verdict(r.Alone)))
		c.fence("text", lines(r.Alone))
	}
}

// by says how an attack gets in.
var by = map[step.Transport]string{
	step.Command: "by a command through the application's own hole",
	step.Request: "by a request that the application makes for the attacker",
	step.Code:    "by code inside the application's process",
	step.Other:   "from outside of the container",
}

func verdict(c walk.Cell) string {
	switch c.Verdict {
	case step.Blocked:
		return "it is blocked"
	case step.Succeeded:
		return "it still succeeds"
	}
	return "nothing proves it blocked"
}

// lines are what shows a verdict.
func lines(c walk.Cell) string {
	if c.Verdict == step.Unproven {
		return strings.TrimSpace(c.Evidence + "\n" + c.Reason)
	}
	return c.Evidence
}

// same compares how an attack went on another container.
func same(r, other *walk.AttackResult) string {
	if r.Before.Verdict == other.Before.Verdict && r.After.Verdict == other.After.Verdict && r.Alone.Verdict == other.Alone.Verdict {
		return fmt.Sprintf("On `%s` the same.", container(other.Target))
	}
	return fmt.Sprintf("On `%s`: %s before, %s after, %s with this step alone.", container(other.Target), other.Before.Verdict, other.After.Verdict, other.Alone.Verdict)
}

// container shortens "deployment/web container web".
func container(target string) string {
	workload, name, _ := strings.Cut(target, " container ")
	if strings.HasSuffix(workload, "/"+name) {
		return workload
	}
	return workload + " (" + name + ")"
}

// node shows what the node and the kernel say of the server, where the step
// changes that.
func (c *chapter) node() {
	for _, now := range c.at.Evidence {
		for _, was := range c.before.Evidence {
			if was.Name != now.Name || substance(was.Text) == substance(now.Text) {
				continue
			}
			c.paragraph("### " + titles[now.Name])
			c.paragraph(fmt.Sprintf("At %d.0:", c.before.Number))
			c.fence("text", was.Text)
			c.paragraph(fmt.Sprintf("At %d.0:", c.number))
			c.fence("text", now.Text)
		}
	}
}

// titles name what is shown beside the attacks.
var titles = map[string]string{
	"ps":     "The same process, inside and outside",
	"status": "What the kernel grants the server",
}

// substance is the first two words of every line: process numbers come behind
// them and mean nothing.
func substance(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		out = append(out, strings.Join(strings.Fields(line)[:min(2, len(strings.Fields(line)))], " "))
	}
	return strings.Join(out, "\n")
}

// stillOpen shows the attacks that the step leaves open, each with the reason.
func (c *chapter) stillOpen() {
	for _, a := range c.step.Attacks {
		if a.Open == "" {
			continue
		}
		c.paragraph(fmt.Sprintf("- `%s`: %s.", a.Name, strings.TrimSuffix(a.Open, ".")))
		for _, r := range c.results(a.Name)[:min(1, len(c.results(a.Name)))] {
			if r.After.Verdict == step.Succeeded {
				c.fence("text", r.After.Evidence)
			}
		}
	}
}

// results gives what an attack came to in the recorded walk, by container.
func (c *chapter) results(attack string) []*walk.AttackResult {
	var out []*walk.AttackResult
	if c.at != nil {
		for _, r := range c.at.Attacks {
			if r.Name == attack {
				out = append(out, r)
			}
		}
	}
	return out
}

// attacks lists the step's attacks.
func (c *chapter) attacks() {
	c.heading("Attacks")
	c.paragraph(fmt.Sprintf("`road walk --only %s` runs them all.", c.step.Name))
	c.WriteString("| attack | the attacker's goal | acts by | stopped by this step |\n|---|---|---|---|\n")
	for _, a := range c.step.Attacks {
		stopped := "yes"
		if a.Open != "" {
			stopped = "no: " + a.Open
		}
		fmt.Fprintf(c, "| `%s` | %s | %s | %s |\n", a.Name, a.Goal, a.Transport, stopped)
	}
	c.WriteByte('\n')
}
