package check

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"
)

// The parts of JUnit's form of XML that servers for tests read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name      string     `xml:"name,attr"`
		Classname string     `xml:"classname,attr"`
		File      string     `xml:"file,attr,omitempty"`
		Line      int        `xml:"line,attr,omitempty"`
		Failure   *junitText `xml:"failure"`
		Skipped   *junitText `xml:"skipped"`
	}
	junitText struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a suite for each workload with a test for each step: it fails where
// a finding counts, and is skipped where all are known or excepted. What is about
// no workload stands under the application, and what could not be read, or only in
// spite of what is wrong with it, is a test that is skipped.
func JUnit(w io.Writer, r *Report, v View) error {
	out := junitSuites{Name: "road check " + r.App, Suites: []junitSuite{}}
	names := []string{}
	for _, st := range r.Workloads {
		names = append(names, st.Name)
	}
	if slices.ContainsFunc(r.all(), func(f Finding) bool { return f.Workload == "" }) {
		names = append(names, "")
	}
	for _, name := range names {
		s := r.suite(name, v)
		out.Tests, out.Failures, out.Skipped = out.Tests+s.Tests, out.Failures+s.Failures, out.Skipped+s.Skipped
		out.Suites = append(out.Suites, s)
	}
	for _, unread := range []bool{true, false} {
		if s := r.problems(unread, v); s.Tests > 0 {
			out.Tests, out.Skipped, out.Suites = out.Tests+s.Tests, out.Skipped+s.Skipped, append(out.Suites, s)
		}
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(out); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// problems gives a suite of what could not be read, or of what was read in spite of
// what is wrong with it.
func (r *Report) problems(unread bool, v View) junitSuite {
	var s junitSuite
	for _, p := range r.Problems {
		if p.Unread != unread {
			continue
		}
		s.Name = p.how()
		s.Cases = append(s.Cases, junitCase{Name: v.Place(app.Pos{File: p.File, Line: p.Line}), Classname: s.Name, File: v.file(p.File), Line: p.Line,
			Skipped: &junitText{p.Message, step.WithHint(p.Message, p.Hint)}})
	}
	s.Tests, s.Skipped = len(s.Cases), len(s.Cases)
	return s
}

func (r *Report) suite(workload string, v View) junitSuite {
	s := junitSuite{Name: workload}
	if workload == "" {
		s.Name = r.App
	}
	for _, st := range r.steps {
		c := junitCase{Name: st.Name, Classname: s.Name}
		if list := of(r.Findings, st.Name, workload); len(list) > 0 {
			c.File, c.Line = v.file(list[0].File), list[0].Line
			c.Failure = told(list, v, func(Finding) string { return "" })
			s.Failures++
		} else if known, excepted := of(r.Known, st.Name, workload), of(r.Excepted, st.Name, workload); len(known)+len(excepted) > 0 {
			c.Skipped = told(append(known, excepted...), v, why)
			s.Skipped++
		}
		s.Tests++
		s.Cases = append(s.Cases, c)
	}
	return s
}

// of gives the findings of one step in one workload.
func of(list []Finding, name, workload string) []Finding {
	var out []Finding
	for _, f := range list {
		if f.Step == name && f.Workload == workload {
			out = append(out, f)
		}
	}
	return out
}

// why says what a finding does not count for.
func why(f Finding) string {
	if f.known {
		return " [known]"
	}
	if f.Unborne != "" {
		return " [" + f.Unborne + "]"
	}
	return fmt.Sprintf(" [excepted until %s: %s]", f.Exception.Until, f.Exception.Reason)
}

// told makes one text of findings; the first is its message.
func told(list []Finding, v View, more func(Finding) string) *junitText {
	var lines []string
	for _, f := range list {
		lines = append(lines, v.Place(app.Pos{File: f.File, Line: f.Line})+": "+step.WithHint(f.Text(), f.Hint)+more(f))
	}
	return &junitText{list[0].Text() + more(list[0]), strings.Join(lines, "\n")}
}
