package docs

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"

	"road/internal/step"
	"road/internal/walk"
)

// walked are the walks of examples/servers as make servers recorded them.
//
//go:embed servers.json
var walked []byte

// A Server is what a walk made of one server program of the distribution.
type Server struct {
	Name  string
	Stops []Outcome

	// Of the attacks at 1.0 and at the last stop.
	First, Last Tally

	FirstBytes, LastBytes int64 // of its image
}

// An Outcome is what became of one step, in the words of the walk.
type Outcome struct {
	Step       string
	Status     walk.Status
	Exceptions []string `json:",omitempty"`
	Reason     string   `json:",omitempty"`
}

// A Tally counts verdicts.
type Tally struct{ Succeeded, Blocked, Unproven int }

// Servers gives what was recorded.
func Servers() []Server {
	var list []Server
	if err := json.Unmarshal(walked, &list); err != nil {
		panic(fmt.Sprintf("docs: the recorded servers: %v", err)) // a fault of the build, which the test finds
	}
	return list
}

// Summarize keeps of a walk what the page of the servers shows.
func Summarize(r *walk.Report) Server {
	s := Server{Name: r.App}
	for i, stop := range r.Stops {
		if i == 0 {
			s.FirstBytes = stop.Figures.ImageBytes
			continue
		}
		s.LastBytes = stop.Figures.ImageBytes
		o := Outcome{Step: stop.Step, Status: stop.Status, Reason: stop.Reason}
		for _, w := range stop.Workloads {
			o.Exceptions = append(o.Exceptions, w.Exceptions...)
		}
		s.Stops = append(s.Stops, o)
	}
	for _, row := range r.Matrix.Rows {
		if len(row.Cells) > 0 {
			s.First.add(row.Cells[0])
			s.Last.add(row.Cells[len(row.Cells)-1])
		}
	}
	return s
}

func (t *Tally) add(v step.Verdict) {
	switch v {
	case step.Succeeded:
		t.Succeeded++
	case step.Blocked:
		t.Blocked++
	default:
		t.Unproven++
	}
}

// mark is an outcome as a cell.
func (o Outcome) mark() string {
	switch {
	case o.Status == walk.LeftOut:
		return "left out"
	case o.Status == walk.Already:
		return "already"
	case len(o.Exceptions) > 0:
		return "exception"
	}
	return "done"
}

const serversHead = `<!-- Written by make servers. -->

# Server programs of the distribution

Each of these is one of Debian's packages in a container as somebody new would
write it, in ` + "`examples/servers`" + `: no road.yaml, no check, no word on what it needs.
What works is inferred: the pod gets ready, and the Service's port answers. Every
server was walked for real.

- **done**: the step was taken, and the server still works.
- **exception**: taken but for what the server was seen to need, named below.
- **left out**: the server, or this place, does not bear it, for the reason below.

`

// ServersPage gives the page as Markdown. road are the steps in their order.
func ServersPage(list []Server, road []*step.Step) string {
	var b strings.Builder
	b.WriteString(serversHead + "| |")
	for _, s := range list {
		fmt.Fprintf(&b, " %s |", s.Name)
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(list)) + "\n")
	for i, st := range road {
		fmt.Fprintf(&b, "| %d.0 `%s` |", i+2, st.Name)
		for _, s := range list {
			fmt.Fprintf(&b, " %s |", s.at(st.Name).mark())
		}
		b.WriteString("\n")
	}
	row := func(head string, cell func(Server) string) {
		fmt.Fprintf(&b, "| %s |", head)
		for _, s := range list {
			fmt.Fprintf(&b, " %s |", cell(s))
		}
		b.WriteString("\n")
	}
	row("attacks that succeed, at 1.0 and at the end", func(s Server) string { return fmt.Sprintf("%d, %d", s.First.Succeeded, s.Last.Succeeded) })
	row("unproven, at 1.0 and at the end", func(s Server) string { return fmt.Sprintf("%d, %d", s.First.Unproven, s.Last.Unproven) })
	row("image in MB, at 1.0 and at the end", func(s Server) string {
		return fmt.Sprintf("%.0f, %.0f", float64(s.FirstBytes)/1e6, float64(s.LastBytes)/1e6)
	})
	b.WriteString("\nAn attack is unproven where it cannot be tried: without a hole for commands in\nthe server nobody installs a package through it, and what never succeeded proves\nno block.\n\n## What was needed, and what was left out\n\n")
	for _, s := range list {
		s.why(&b)
	}
	return strings.TrimSpace(b.String()) + "\n"
}

// at gives what became of a step; a walk that does not know it left it out.
func (s Server) at(name string) Outcome {
	for _, o := range s.Stops {
		if o.Step == name {
			return o
		}
	}
	return Outcome{Step: name, Status: walk.LeftOut, Reason: "not walked"}
}

// why writes the exceptions and reasons of a server.
func (s Server) why(b *strings.Builder) {
	var lines []string
	for _, o := range s.Stops {
		for _, e := range o.Exceptions {
			lines = append(lines, fmt.Sprintf("- `%s`: %s", o.Step, sentence(e)))
		}
		if o.Status == walk.LeftOut {
			lines = append(lines, fmt.Sprintf("- `%s` left out: %s", o.Step, sentence(o.Reason)))
		}
	}
	if len(lines) > 0 {
		fmt.Fprintf(b, "**%s**\n\n%s\n\n", s.Name, strings.Join(lines, "\n"))
	}
}

// sentence makes a reason one paragraph that Markdown takes as it is.
func sentence(s string) string {
	return strings.TrimSuffix(strings.NewReplacer("<", "&lt;", "*", "\\*", "_", "\\_", "|", "\\|").Replace(strings.Join(strings.Fields(s), " ")), ".") + "."
}
