package walk

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// maxEvidence is how much of an attack's evidence is kept, in bytes; the middle
// of what is longer goes.
const maxEvidence = 2000

// shortest is the length in bytes below which a secret value is not masked: so
// short a value says nothing, and masking it would wreck every line.
const shortest = 4

// tokens look the same everywhere: three dotted parts, the first of which is
// base64 of `{"`.
var tokens = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)

// A masker takes secrets out of text before it enters the report.
type masker struct{ values []string }

// newMasker knows every value of every Secret of a, in each of its forms.
func newMasker(a *app.App) *masker {
	m := &masker{}
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Secret)
		if !ok || s == nil {
			continue
		}
		for _, v := range s.Data {
			m.add(string(v))
		}
		for _, v := range s.StringData {
			m.add(v)
		}
	}
	for _, secret := range a.Config.Secrets {
		for _, v := range secret {
			m.add(v)
		}
	}
	// The longest first, so that no part of one value hides another.
	sort.Slice(m.values, func(i, j int) bool {
		if len(m.values[i]) != len(m.values[j]) {
			return len(m.values[i]) > len(m.values[j])
		}
		return m.values[i] < m.values[j]
	})
	m.values = slices.Compact(m.values)
	return m
}

// forms gives a value as applications show it: as it is, in base64, in an
// address, in JSON and in HTML.
func forms(v string) []string {
	b := []byte(v)
	query := url.QueryEscape(v)
	quoted, _ := json.Marshal(v) // a string: cannot fail
	return []string{v, base64.StdEncoding.EncodeToString(b), base64.RawStdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b),
		query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(v),
		strings.Trim(string(quoted), `"`), html.EscapeString(v)}
}

func (m *masker) add(v string) {
	for _, v := range []string{v, strings.TrimSpace(v)} {
		if len(v) < shortest {
			continue
		}
		m.values = append(m.values, forms(v)...)
		// The lines of a key or certificate are secrets of their own: evidence
		// may show only one of them.
		for _, line := range strings.Split(v, "\n") {
			if line = strings.TrimSpace(line); len(line) >= 16 && line != v {
				m.values = append(m.values, line)
			}
		}
	}
}

// text masks secrets and escapes control characters, new lines and tabs aside,
// so that no line of an attacked container can act on the reader's terminal.
func (m *masker) text(s string) string {
	for _, v := range m.values {
		s = strings.ReplaceAll(s, v, "***")
	}
	s = tokens.ReplaceAllString(s, "***")
	return Escape(s)
}

// error masks what an error says; its causes stay what they are.
func (m *masker) error(err error) error {
	if err == nil {
		return nil
	}
	return &maskedError{err, m.text(err.Error())}
}

type maskedError struct {
	error
	text string
}

func (e *maskedError) Error() string { return e.text }
func (e *maskedError) Unwrap() error { return e.error }

// line is evidence in one line.
func (m *masker) line(s string) string {
	return strings.Join(strings.FieldsFunc(m.evidence(s), func(r rune) bool { return r == '\n' }), " · ")
}

// evidence is text trimmed to what a report holds.
func (m *masker) evidence(s string) string {
	s = strings.TrimSpace(m.text(s))
	if len(s) <= maxEvidence {
		return s
	}
	head, tail := s[:maxEvidence/4], s[len(s)-maxEvidence*3/4:]
	return strings.ToValidUTF8(head, "") + "\n[...]\n" + strings.ToValidUTF8(tail, "")
}

// Escape makes text of unknown origin fit for a terminal: what would act on it
// and not be seen, new lines and tabs aside, is written out, as \x1b.
func Escape(s string) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !printable(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case printable(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[n:]
	}
	return b.String()
}

func printable(r rune) bool {
	return r == '\n' || r == '\t' || unicode.IsPrint(r) || r == utf8.RuneError
}
