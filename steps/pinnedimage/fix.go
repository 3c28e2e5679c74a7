package pinnedimage

import (
	"bytes"
	"regexp"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// fix writes the digests that registries answered; what has none stays.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			ref := c.Spec.Image
			pin := a.Seen.Pins[ref]
			if ref == "" || pinned(ref) || pin.Digest == "" {
				continue
			}
			edits = append(edits, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: c.Path.Join("image"), Value: written(ref, pin)}})
		}
	}
	for d, s := range bases(a) {
		if pin := a.Seen.Pins[s.Base]; pin.Digest != "" {
			if text, ok := pinLine(line(d, s.Line), s.Base, pin); ok {
				edits = append(edits, edit.Edit{File: d.File, Lines: &edit.Lines{After: s.Line - 1, Replace: 1, Text: text}})
			}
		}
	}
	return edits, nil
}

// line gives a line of a Dockerfile without its end.
func line(d *app.Dockerfile, number int) string {
	lines := strings.Split(string(d.Content), "\n")
	if number < 1 || number > len(lines) {
		return ""
	}
	return strings.TrimSuffix(lines[number-1], "\r")
}

// pinLine puts the digest behind the base of a FROM line; not ok where the base
// does not stand there as it is, since an ARG or another line says it.
func pinLine(text, base string, pin app.Pin) (string, bool) {
	at := regexp.MustCompile(`(^|\s)` + regexp.QuoteMeta(base) + `(\s|$)`).FindStringIndex(text)
	if at == nil {
		return "", false
	}
	word := text[at[0]:at[1]]
	return text[:at[0]] + strings.Replace(word, base, written(base, pin), 1) + text[at[1]:], true
}

// fromDigest is a digest behind the image of a FROM line.
var fromDigest = regexp.MustCompile(`(?im)^(\s*FROM\s+(?:--\S+\s+)*[^\s@]+)@sha256:[0-9a-f]+`)

// unpinBases takes the digests off a Dockerfile's bases, in memory.
func unpinBases(d *app.Dockerfile) {
	content := fromDigest.ReplaceAll(d.Content, []byte("$1"))
	if bytes.Equal(content, d.Content) {
		return
	}
	d.Content = content
	for _, s := range d.Stages {
		s.Base, _, _ = strings.Cut(s.Base, "@")
	}
}
