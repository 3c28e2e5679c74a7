package edit

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"road/internal/app"
)

// applyLines changes a Dockerfile or a shell script from the bottom up, so that
// line numbers hold, and parses the result, a Dockerfile with BuildKit's parser.
func applyLines(name string, b []byte, edits []*Lines) ([]byte, []*Refused) {
	no := func(line int, msg string) []*Refused {
		return []*Refused{{Pos: app.Pos{File: name, Line: line}, Message: msg}}
	}
	parse := func(name string, b []byte) error {
		_, err := app.ParseDockerfile(name, b)
		return err
	}
	if app.IsScript(b) {
		parse = app.ParseScript
	}
	if err := parse(name, b); err != nil {
		line, msg := problem(err)
		return nil, no(line, msg)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	if len(lines[len(lines)-1]) == 0 {
		lines = lines[:len(lines)-1]
	}
	nl := "\n"
	if bytes.HasSuffix(lines[0], []byte("\r\n")) {
		nl = "\r\n"
	}
	order := slices.Clone(edits)
	slices.SortStableFunc(order, func(x, y *Lines) int { return x.After - y.After })
	for i, e := range order {
		if e.After < 0 || e.Replace < 0 || e.After+e.Replace > len(lines) {
			return nil, no(e.After, "there are no such lines")
		}
		if i > 0 && order[i-1].After+order[i-1].Replace > e.After {
			return nil, no(e.After, "two edits change the same lines")
		}
	}
	// Edits at the same place stand in the order in which they were given.
	for _, e := range slices.Backward(order) {
		var text [][]byte
		if e.Text != "" {
			for l := range strings.SplitSeq(e.Text, "\n") {
				text = append(text, []byte(strings.TrimSuffix(l, "\r")+nl))
			}
		}
		lines = splice3(lines, e.After, e.Replace, text)
	}
	out := bytes.Join(lines, nil)
	if !bytes.HasSuffix(b, []byte("\n")) {
		out = bytes.TrimSuffix(out, []byte(nl))
	}
	if err := parse(name, out); err != nil {
		_, msg := problem(err)
		return nil, no(order[0].After+1, "after the change: "+msg)
	}
	return out, nil
}

// splice3 puts text in place of n lines behind line after; a line without a line
// break, the file's last, gets one where something follows it.
func splice3(lines [][]byte, after, n int, text [][]byte) [][]byte {
	if after > 0 && len(text) > 0 && !bytes.HasSuffix(lines[after-1], []byte("\n")) {
		nl := text[0][len(bytes.TrimRight(text[0], "\r\n")):]
		lines[after-1] = append(slices.Clone(lines[after-1]), nl...)
	}
	return slices.Concat(lines[:after], text, lines[after+n:])
}

// problem gives the line and message of a parser's error.
func problem(err error) (line int, message string) {
	p := app.Problem{Message: err.Error()}
	errors.As(err, &p)
	return p.Line, p.Message
}
