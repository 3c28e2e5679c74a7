package check

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"
	"road/internal/walk"
)

// A View says how a report is shown.
type View struct {
	Place    func(app.Pos) string // a place as the reader can open it
	Baseline string               // the baseline's name
	Version  string               // of road
	Verbose  bool                 // text tells of what does not count, too
}

// file gives the name of a file alone, as URLs have it.
func (v View) file(name string) string { return filepath.ToSlash(v.Place(app.Pos{File: name})) }

// A Format writes a report.
type Format func(io.Writer, *Report, View) error

// Formats are all outputs by the name that -o takes.
var Formats = map[string]Format{"text": Text, "json": JSON, "sarif": SARIF, "junit": JUnit, "github": GitHub}

// Names lists the outputs.
func Names() []string { return []string{"text", "json", "sarif", "junit", "github"} }

// Text writes one line per finding, for editors and for people, then where each
// workload is, and how much does not count.
func Text(w io.Writer, r *Report, v View) error {
	b := bufio.NewWriter(w)
	line := func(format string, args ...any) { fmt.Fprintln(b, walk.Escape(fmt.Sprintf(format, args...))) }
	lines := func(list []Finding, more func(Finding) string) {
		said := map[string]bool{}
		for _, f := range list {
			text := v.Place(app.Pos{File: f.File, Line: f.Line}) + ": " + step.WithHint(f.Text(), f.Hint) + more(f)
			if !said[text] { // of an image, once for all workloads that use it
				line("%s", text)
			}
			said[text] = true
		}
	}
	lines(r.Findings, func(Finding) string { return "" })
	if v.Verbose {
		lines(r.Known, why)
		lines(r.Excepted, why)
	}
	if (len(r.Findings) > 0 || v.Verbose && len(r.Known)+len(r.Excepted) > 0) && len(r.Workloads) > 0 {
		line("")
	}
	for _, state := range r.Workloads {
		text := fmt.Sprintf("%s is at %d.0", state.Name, state.Stop)
		if len(state.Missing) > 0 {
			text += "; missing: " + strings.Join(state.Missing, ", ")
		}
		if len(state.Excepted) > 0 {
			text += "; excepted: " + strings.Join(state.Excepted, ", ")
		}
		line("%s", text)
	}
	for _, text := range r.hidden(v) {
		line("%s", text)
	}
	if text := Unread(r.Problems, v.Place); text != "" {
		line("%s", text)
	}
	return b.Flush()
}

// hidden says how much does not count, and which exceptions have nothing to cover.
func (r *Report) hidden(v View) []string {
	var out []string
	if n := len(r.Excepted); n > 0 {
		out = append(out, fmt.Sprintf("%s excepted%s", counted(n, "finding is", "findings are"), verbosely(v)))
	}
	if r.baseline {
		out = append(out, fmt.Sprintf("%s known by %s and hidden%s", counted(len(r.Known), "finding is", "findings are"), v.Baseline, verbosely(v)))
	}
	if n := len(r.Gone); n > 0 {
		out = append(out, fmt.Sprintf("%s has %s found no more: --write-baseline writes it anew", v.Baseline, counted(n, "entry that is", "entries that are")))
		for _, e := range r.Gone {
			if v.Verbose {
				out = append(out, fmt.Sprintf("  gone: %s: %s: %s", v.file(e.File), e.Step, e.Message))
			}
		}
	}
	for _, x := range r.Unused {
		out = append(out, fmt.Sprintf("%s: the exception from %s for %s covers nothing", v.Place(app.Pos{File: x.File, Line: x.Line}), x.Step, strings.TrimSpace(x.Workload+" "+x.Container)))
	}
	return out
}

func verbosely(v View) string {
	if v.Verbose {
		return ""
	}
	return " (-v shows them)"
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// JSON writes the report as it is.
func JSON(w io.Writer, r *Report, _ View) error { return encode(w, r) }

func encode(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// GitHub writes the findings that count as workflow commands, which GitHub shows
// beside the lines of a pull request, what could not be read as warnings, and notes
// and the rest as notices.
func GitHub(w io.Writer, r *Report, v View) error {
	b := bufio.NewWriter(w)
	tell := func(command, file string, line, column int, title, text string) {
		place := "file=" + property(v.file(file))
		if line > 0 {
			place += fmt.Sprintf(",line=%d", line)
		}
		if column > 0 {
			place += fmt.Sprintf(",col=%d", column)
		}
		fmt.Fprintf(b, "::%s %s,title=%s::%s\n", command, place, property("road: "+title), data(text))
	}
	for _, n := range r.Notes {
		tell("notice", n.File, n.Line, 0, "note", step.WithHint(n.Message, n.Hint))
	}
	for _, f := range r.Findings {
		tell("error", f.File, f.Line, f.Column, f.Step, step.WithHint(f.Text(), f.Hint))
	}
	for _, p := range r.Problems {
		tell("warning", p.File, p.Line, p.Column, p.how(), step.WithHint(p.Message, p.Hint))
	}
	for _, text := range r.hidden(v) {
		fmt.Fprintf(b, "::notice::%s\n", data(text))
	}
	return b.Flush()
}

// how says what became of the place: what was read all the same is not passed by.
func (p *Problem) how() string {
	if p.Unread {
		return "passed by"
	}
	return "problem"
}

// data escapes the text of a workflow command, property what stands in front.
func data(s string) string {
	return walk.Escape(strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s))
}

func property(s string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(s))
}

// all gives every finding, those that count first, in the order of the road.
func (r *Report) all() []Finding {
	list := slices.Concat(r.Findings, r.Known, r.Excepted)
	slices.SortStableFunc(list, func(x, y Finding) int { return x.Stop - y.Stop })
	return list
}
