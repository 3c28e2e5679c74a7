package walk

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"road/internal/app"
)

// maxEvidence is how much of an attack's evidence is kept, in bytes; the middle
// of what is longer goes.
const maxEvidence = 2000

// hidden stands for what is masked.
const hidden = app.Hidden

// tokens look the same everywhere: three dotted parts, the first of which is
// base64 of `{"`.
var tokens = regexp.MustCompile(`eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`)

// A login is a password in an address.
var login = regexp.MustCompile(`([a-z][a-z0-9+.-]*://[^\s/:@"']*:)([^\s/@"'$<{*][^\s/@"']*)@`)

// A masker takes secrets out of text before it enters the report. What it knows
// may grow while others use it.
type masker struct {
	mu     sync.RWMutex
	public names           // what is never masked
	known  map[string]bool // the secret values, as they were found
	forms  []string        // all forms of those that are masked, the longest first
}

// newMasker knows what the sources of a hold that is secret.
func newMasker(a *app.App) *masker {
	m := &masker{known: map[string]bool{}, public: namesOf(a)}
	secretsOf(a, func(v string) { m.known[v] = true })
	m.settle()
	return m
}

// image takes over what is known of an image once it is made.
func (m *masker) image(f app.ImageFacts) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = map[string]bool{}
	}
	for _, acc := range f.Accounts {
		m.public = append(m.public, acc.Name)
	}
	for _, kv := range f.Env {
		if name, v, _ := strings.Cut(kv, "="); isSecret(name) {
			m.known[v] = true
		}
	}
	for name, v := range f.Labels {
		if isSecret(name) {
			m.known[v] = true
		}
	}
	m.settle()
}

// settle makes forms of what is known now.
func (m *masker) settle() {
	m.forms = nil
	for v := range m.known {
		m.add(v)
	}
	// The longest first, so that no part of one value hides another.
	slices.SortFunc(m.forms, func(x, y string) int { return cmp.Or(len(y)-len(x), strings.Compare(x, y)) })
	m.forms = slices.Compact(m.forms)
}

// percent is an escaped byte of an address, which some write in small letters.
var percent = regexp.MustCompile(`%[0-9A-F]{2}`)

// forms gives a value as applications show it: as it is, in base64, in an
// address, in JSON and in HTML.
func forms(v string) []string {
	b := []byte(v)
	query := url.QueryEscape(v)
	quoted, _ := json.Marshal(v) // a string: cannot fail
	var plain bytes.Buffer
	e := json.NewEncoder(&plain)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	out := []string{v, base64.StdEncoding.EncodeToString(b), base64.RawStdEncoding.EncodeToString(b), base64.RawURLEncoding.EncodeToString(b),
		strings.Trim(string(quoted), `"`), strings.Trim(strings.TrimSpace(plain.String()), `"`), html.EscapeString(v)}
	for _, escaped := range []string{query, strings.ReplaceAll(query, "+", "%20"), url.PathEscape(v)} {
		out = append(out, escaped, percent.ReplaceAllStringFunc(escaped, strings.ToLower))
	}
	return out
}

func (m *masker) add(v string) {
	for _, v := range []string{v, strings.TrimSpace(v)} {
		if m.public.show(v) {
			continue
		}
		m.forms = append(m.forms, forms(v)...)
		// The lines of a key or certificate are secrets of their own: evidence
		// may show only one of them.
		for _, line := range strings.Split(v, "\n") {
			if line = strings.TrimSpace(line); len(line) >= 16 && line != v {
				m.forms = append(m.forms, line)
			}
		}
	}
}

// hide masks secrets.
func (m *masker) hide(s string) string {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, v := range m.forms {
		s = strings.ReplaceAll(s, v, hidden)
	}
	s = login.ReplaceAllString(s, "${1}"+hidden+"@")
	return tokens.ReplaceAllString(s, hidden)
}

// text masks secrets and escapes control characters, new lines and tabs aside,
// so that no line of an attacked container can act on the reader's terminal.
func (m *masker) text(s string) string { return Escape(m.hide(s)) }

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
