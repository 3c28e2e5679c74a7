package check

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"
)

// BaselineSchema names the form of a Baseline in JSON.
const BaselineSchema = "road/baseline/v1"

// A Baseline is what is known already.
type Baseline struct {
	Schema   string  `json:"schema"`
	App      string  `json:"app"`
	Findings []Entry `json:"findings"`
}

// An Entry is one known finding. Only Fingerprint and File are compared; the rest
// is for those who read the file.
type Entry struct {
	Fingerprint string `json:"fingerprint"`
	Step        string `json:"step"`
	File        string `json:"file"`
	Workload    string `json:"workload,omitempty"`
	Container   string `json:"container,omitempty"`
	Message     string `json:"message"`
}

// NewBaseline gives the baseline of a check: what counts there and what was known
// before. What is excepted stays out: it is to be told when its exception ends.
func NewBaseline(r *Report) *Baseline {
	b := &Baseline{Schema: BaselineSchema, App: r.App, Findings: []Entry{}}
	for _, list := range [][]Finding{r.Findings, r.Known} {
		for _, f := range list {
			b.Findings = append(b.Findings, Entry{f.Fingerprint, f.Step, f.File, f.Workload, f.Container, f.Message})
		}
	}
	slices.SortStableFunc(b.Findings, func(x, y Entry) int {
		return strings.Compare(x.File+"\x00"+x.Workload+"\x00"+x.Step, y.File+"\x00"+y.Workload+"\x00"+y.Step)
	})
	return b
}

// ReadBaseline reads a baseline, or the report of an earlier check in JSON.
func ReadBaseline(content []byte) (*Baseline, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(content, &head); err != nil {
		return nil, errors.New(place(content, err))
	}
	switch head.Schema {
	case BaselineSchema:
		b := &Baseline{}
		if err := json.Unmarshal(content, b); err != nil {
			return nil, errors.New(place(content, err))
		}
		return b, b.validate()
	case Schema:
		r := &Report{}
		if err := json.Unmarshal(content, r); err != nil {
			return nil, errors.New(place(content, err))
		}
		b := NewBaseline(r)
		return b, b.validate()
	}
	return nil, fmt.Errorf("1: its schema is %q, not %s or %s", head.Schema, BaselineSchema, Schema)
}

// place puts the line in front of what is wrong with JSON.
func place(content []byte, err error) string {
	line, offset := 1, int64(0)
	var syntax *json.SyntaxError
	var typed *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &typed):
		offset = typed.Offset
	}
	line += bytes.Count(content[:min(int(offset), len(content))], []byte("\n"))
	return fmt.Sprintf("%d: %v", line, err)
}

func (b *Baseline) validate() error {
	for i, e := range b.Findings {
		if e.Fingerprint == "" {
			return fmt.Errorf("1: finding %d has no fingerprint", i+1)
		}
	}
	return nil
}

// imageVersion is a tag or digest behind the quoted name of an image.
var imageVersion = regexp.MustCompile(`("[^"\s]*?)(:[\w][\w.-]*)?(@sha256:[0-9a-f]+)?"`)

// fingerprint names a finding by the step, the workload, the container and what is
// said of them, without the versions of images. Lines and files are no part of it:
// both may move.
func fingerprint(name string, f step.Finding) string {
	message := imageVersion.ReplaceAllString(f.Message, `$1"`)
	sum := sha256.Sum256([]byte(strings.Join([]string{name, f.Workload, f.Container, message}, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// compare moves what the baseline knows from Findings to Known. Each entry knows
// one finding: that in its own file, or else one elsewhere if its own file has
// lost what it is about, so that a workload copied to a second file is news.
// Entries of steps that were not asked say nothing.
func (r *Report) compare(b *Baseline, a *app.App, asked map[string]bool) {
	known := make([]bool, len(r.Findings))
	var rest []Entry
	take := func(e Entry, fits func(*Finding) bool) bool {
		for i := range r.Findings {
			if f := &r.Findings[i]; !known[i] && f.Fingerprint == e.Fingerprint && fits(f) {
				known[i] = true
				return true
			}
		}
		return false
	}
	for _, e := range b.Findings {
		if asked[e.Step] && !take(e, func(f *Finding) bool { return f.File == e.File }) {
			rest = append(rest, e)
		}
	}
	for _, e := range rest {
		if holds(a, e) || !take(e, func(*Finding) bool { return true }) {
			r.Gone = append(r.Gone, e)
		}
	}
	all := r.Findings
	r.Findings = []Finding{}
	for i, f := range all {
		if f.known = known[i]; f.known {
			r.Known = append(r.Known, f)
		} else {
			r.Findings = append(r.Findings, f)
		}
	}
}

// holds says whether the file of an entry still has what it is about.
func holds(a *app.App, e Entry) bool {
	if e.Workload == "" {
		_, there := a.Files()[e.File]
		return there
	}
	return slices.ContainsFunc(a.Workloads, func(w *app.Workload) bool { return w.File == e.File && w.ID() == e.Workload })
}
