package check

import (
	"io"
	"net/url"
	"strings"

	"road/internal/step"
)

// The parts of SARIF 2.1.0 that are written, by the names that its specification
// gives them.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
		Calls   []sarifCall   `json:"invocations"`
	}
	sarifCall struct {
		Successful    bool                `json:"executionSuccessful"`
		Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version,omitempty"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID         string          `json:"id"`
		Name       string          `json:"name"`
		Short      sarifText       `json:"shortDescription"`
		Help       sarifText       `json:"help"`
		Properties sarifProperties `json:"properties"`
	}
	sarifProperties struct {
		Tags []string `json:"tags"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        string             `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		State        string             `json:"baselineState,omitempty"`
		Suppressions []sarifSuppression `json:"suppressions"`
	}
	sarifLocation struct {
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"` // "inSource", "external"
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// SARIF writes the report for code scanning: every finding, with a suppression
// for those that do not count, and as notifications of the tool's what could not be
// read and what leads nowhere.
func SARIF(w io.Writer, r *Report, v View) error {
	run := sarifRun{Tool: sarifTool{sarifDriver{Name: "road", Version: v.Version, Rules: []sarifRule{}}}, Results: []sarifResult{}}
	index := map[string]int{}
	for _, s := range r.steps {
		index[s.Name] = len(run.Tool.Driver.Rules)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule(s))
	}
	for _, f := range r.all() {
		res := sarifResult{RuleID: f.Step, RuleIndex: index[f.Step], Level: "warning", Message: sarifText{Text: step.WithHint(f.Text(), f.Hint)},
			Locations: []sarifLocation{location(f, v)}, Fingerprints: map[string]string{"road/v1": f.Fingerprint}, Suppressions: []sarifSuppression{}}
		switch {
		case f.known:
			res.State = "unchanged"
			res.Suppressions = append(res.Suppressions, sarifSuppression{"external", "accepted", "known by the baseline " + v.Baseline})
		case f.Unborne != "":
			res.Suppressions = append(res.Suppressions, sarifSuppression{"external", "accepted", f.Unborne})
		case f.Exception != nil && !f.Exception.Ended:
			kind := "external"
			if f.Exception.InSource {
				kind = "inSource"
			}
			res.Suppressions = append(res.Suppressions, sarifSuppression{kind, "accepted", f.Exception.Reason + " (until " + f.Exception.Until + ")"})
		case r.baseline:
			res.State = "new"
		}
		run.Results = append(run.Results, res)
	}
	call := sarifCall{Successful: true}
	notify := func(level string, list []Problem) {
		for _, p := range list {
			at := location(Finding{File: p.File, Line: p.Line, Column: p.Column}, v)
			call.Notifications = append(call.Notifications, sarifNotification{level, sarifText{Text: step.WithHint(p.Message, p.Hint)}, []sarifLocation{at}})
		}
	}
	notify("warning", r.Problems)
	notify("note", r.Notes)
	run.Calls = []sarifCall{call}
	return encode(w, sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// rule tells of a step what a reader without road needs.
func rule(s *step.Step) sarifRule {
	out := sarifRule{ID: s.Name, Name: s.Name, Short: sarifText{Text: s.Title}, Help: sarifText{"road explain " + s.Name, s.Explain},
		Properties: sarifProperties{Tags: []string{"security"}}}
	for _, ref := range s.Refs {
		out.Properties.Tags = append(out.Properties.Tags, ref.Framework+" "+ref.ID)
	}
	return out
}

func location(f Finding, v View) sarifLocation {
	l := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: v.file(f.File)}).String()}}}
	if f.Line > 0 {
		l.Physical.Region = &sarifRegion{f.Line, f.Column}
	}
	if f.Workload != "" {
		l.Logical = []sarifLogical{{strings.TrimSuffix(f.Workload+"/"+f.Container, "/"), "resource"}}
	}
	return l
}
