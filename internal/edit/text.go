package edit

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"road/internal/app"

	"go.yaml.in/yaml/v3"
)

// A text is the content of a YAML file with the means to find in its bytes what
// the parser gives by line and column.
type text struct {
	b     []byte
	lines []int // offset of each line's first byte

	comments []span // in order; of a file that is to be changed
}

func newText(b []byte) *text {
	t := &text{b: b, lines: []int{0}}
	for i := 0; i < len(b); {
		n := breakLen(b[i:])
		i += max(n, 1)
		if n > 0 {
			t.lines = append(t.lines, i)
		}
	}
	return t
}

// breakLen measures the line break that b begins with, 0 for none.
func breakLen(b []byte) int {
	n, _ := app.LineBreak(b)
	return n
}

// start gives the offset of a node's first byte, its anchor or tag included.
// The parser counts columns in characters.
func (t *text) start(n *yaml.Node) int {
	if n.Line > len(t.lines) {
		return len(t.b)
	}
	i := t.lines[n.Line-1]
	for c := 1; c < n.Column && i < len(t.b); c++ {
		_, size := utf8.DecodeRune(t.b[i:])
		i += size
	}
	return i
}

// content gives the offset behind a node's anchor and tag.
func (t *text) content(n *yaml.Node) int {
	i := t.start(n)
	for i < len(t.b) && (t.b[i] == '&' || t.b[i] == '!') && n.Kind != yaml.AliasNode {
		for i < len(t.b) && !blank(t.b[i]) && breakLen(t.b[i:]) == 0 && !(flowEnd(t.b[i]) && t.b[i-1] != '!') {
			i++
		}
		i = t.skip(i)
	}
	return i
}

func blank(c byte) bool   { return c == ' ' || c == '\t' }
func flowEnd(c byte) bool { return c == ',' || c == ']' || c == '}' }

// skip goes on to the next byte that is neither white space nor in a comment.
func (t *text) skip(i int) int {
	for i < len(t.b) {
		switch {
		case blank(t.b[i]):
			i++
		case breakLen(t.b[i:]) > 0:
			i += breakLen(t.b[i:])
		case t.b[i] == '#':
			i = t.lineEnd(i)
		default:
			return i
		}
	}
	return i
}

// lineEnd gives the offset of the line break behind i, or of the end.
func (t *text) lineEnd(i int) int {
	for i < len(t.b) && breakLen(t.b[i:]) == 0 {
		i++
	}
	return i
}

// next gives the offset of the line behind the one that holds i.
func (t *text) next(i int) int {
	i = t.lineEnd(i)
	return i + breakLen(t.b[i:])
}

// lineStart gives the offset of the first byte of the line that holds i.
func (t *text) lineStart(i int) int { return t.lines[t.line(i)-1] }

// line gives the number of the line that holds offset i, 1-based.
func (t *text) line(i int) int {
	low, high := 0, len(t.lines)
	for high-low > 1 {
		if mid := (low + high) / 2; t.lines[mid] <= i {
			low = mid
		} else {
			high = mid
		}
	}
	return low + 1
}

// newline gives the line break in use at offset i: that of its line, else that
// of the file's first line, else LF.
func (t *text) newline(i int) string {
	for _, at := range []int{t.lineEnd(i), t.lineEnd(0)} {
		if n := breakLen(t.b[at:]); n > 0 {
			return string(t.b[at : at+n])
		}
	}
	return "\n"
}

// indent gives the white space that the line of offset i begins with.
func (t *text) indent(i int) string {
	s := t.lineStart(i)
	e := s
	for e < len(t.b) && blank(t.b[e]) {
		e++
	}
	return string(t.b[s:e])
}

// end gives the offset behind a node's last byte: end-of-line comments and what
// follows are not part of it.
func (t *text) end(n *yaml.Node) int {
	i := t.content(n)
	switch {
	case n.Kind == yaml.AliasNode:
		return i + 1 + len(n.Value)
	case n.Style&yaml.FlowStyle != 0:
		return t.flowEnd(n, i)
	case n.Kind == yaml.MappingNode, n.Kind == yaml.SequenceNode:
		if len(n.Content) > 0 {
			return t.end(n.Content[len(n.Content)-1])
		}
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return t.blockEnd(n, i)
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for i++; i < len(t.b) && t.b[i] != '"'; i++ {
			if t.b[i] == '\\' {
				i++
			}
		}
		return min(i+1, len(t.b))
	case n.Style&yaml.SingleQuotedStyle != 0:
		for i++; i < len(t.b); i++ {
			if t.b[i] == '\'' {
				if i+1 == len(t.b) || t.b[i+1] != '\'' {
					break
				}
				i++
			}
		}
		return min(i+1, len(t.b))
	}
	return t.plainEnd(n, i)
}

// plainEnd follows a plain scalar word by word: its value holds every character
// of it but the white space, which may be folded line breaks.
func (t *text) plainEnd(n *yaml.Node, i int) int {
	if n.Value == "" {
		i = t.start(n)
		if n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 { // "key: &a" with nothing behind
			return t.propertiesEnd(i)
		}
		return i
	}
	end := i
	for _, word := range strings.FieldsFunc(n.Value, isSpace) {
		for end < len(t.b) && !bytes.HasPrefix(t.b[end:], []byte(word)) {
			end++
		}
		end = min(end+len(word), len(t.b))
	}
	return end
}

// propertiesEnd gives the offset behind the anchor and tag that begin at i,
// where no value follows them.
func (t *text) propertiesEnd(i int) int {
	end := i
	for i < len(t.b) && (t.b[i] == '&' || t.b[i] == '!') {
		for i < len(t.b) && !blank(t.b[i]) && breakLen(t.b[i:]) == 0 && !flowEnd(t.b[i]) {
			i++
		}
		end = i
		for i < len(t.b) && blank(t.b[i]) {
			i++
		}
	}
	return end
}

func isSpace(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}

// flowEnd finds the bracket that closes a flow collection.
func (t *text) flowEnd(n *yaml.Node, i int) int {
	i++
	if len(n.Content) > 0 {
		i = max(i, t.end(n.Content[len(n.Content)-1]))
	}
	for i = t.skip(i); i < len(t.b) && t.b[i] != ']' && t.b[i] != '}'; i = t.skip(i) {
		i++
	}
	return min(i+1, len(t.b))
}

// blockEnd finds the end of a literal or folded scalar that begins at i: the end
// of its last line that is not blank, or where it keeps them of its last line.
func (t *text) blockEnd(n *yaml.Node, i int) int {
	header := t.b[i:t.lineEnd(i)]
	if c := bytes.IndexByte(header, ' '); c >= 0 {
		header = header[:c]
	}
	keep := bytes.IndexByte(header, '+') >= 0
	end := t.lineEnd(i)
	want := -1 // the scalar's indentation
	for at := t.next(i); at < len(t.b); at = t.next(at) {
		e := t.lineEnd(at)
		spaces := len(t.b[at:e]) - len(bytes.TrimLeft(t.b[at:e], " "))
		if spaces == e-at {
			if keep {
				end = e
			}
			continue
		}
		if want < 0 {
			want = spaces
			if d := bytes.IndexAny(header, "123456789"); d >= 0 {
				want = t.parentIndent(i) + int(header[d]-'0')
			}
			if n.Value == "" || want == 0 && t.marker(at) {
				break
			}
		}
		if spaces < want || want == 0 && t.marker(at) {
			break
		}
		end = e
	}
	return end
}

// marker says whether a document marker stands at the start of a line.
func (t *text) marker(at int) bool {
	l := t.b[at:]
	return (bytes.HasPrefix(l, []byte("---")) || bytes.HasPrefix(l, []byte("..."))) &&
		(len(l) == 3 || blank(l[3]) || breakLen(l[3:]) > 0)
}

// parentIndent gives the column, from 0, of the key or dash in front of i on its
// line that is nearest to i: what an indentation indicator counts from.
func (t *text) parentIndent(i int) int {
	line := t.b[t.lineStart(i):i]
	at := len(line) - len(bytes.TrimLeft(line, " "))
	for at+1 < len(line) && line[at] == '-' && line[at+1] == ' ' {
		rest := bytes.TrimLeft(line[at+1:], " ")
		if len(rest) == 0 {
			break
		}
		at = len(line) - len(rest)
	}
	return at
}
