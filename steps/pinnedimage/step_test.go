package pinnedimage

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"
	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

// TestNoDigest leaves what no registry answered for as it is, and says why.
func TestNoDigest(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{
		"pod.yaml":       []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'web:1'}]}\n"),
		"web/Dockerfile": []byte("FROM debian:trixie-slim\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Seen.Pins = map[string]app.Pin{"web:1": {Why: "it is known here only"}, "debian:trixie-slim": {Why: "made from packages"}}
	edits, err := Step.Fix(a)
	if err != nil || len(edits) != 0 {
		t.Errorf("%+v, %v", edits, err)
	}
	f := Step.Check(a)
	if len(f) != 2 || !strings.Contains(f[0].Message, "it is known here only") || !strings.Contains(f[1].Message, "made from packages") || f[1].Workload != "" || !f[0].NeedsRun || !f[1].NeedsRun {
		t.Errorf("%+v", f)
	}
}

// registry is one whose node was given a digest and runs a program.
type registry struct {
	image       string // "" for a digest
	digest, exe string
	ready       error
	restored    *bool
}

func (r registry) Overwrite(context.Context) (*sandbox.Overwritten, error) {
	return &sandbox.Overwritten{Tag: "web:1", Was: "sha256:good", Is: "sha256:evil", Program: "/implant", Restore: func(context.Context) error { *r.restored = true; return nil }}, nil
}

func (r registry) Start(context.Context) (*sandbox.Replica, error) {
	return &sandbox.Replica{Image: cmp.Or(r.image, "web:1@"+r.digest), Digest: r.digest, Node: node{exe: r.exe}, Ready: func(context.Context) error { return r.ready }, Close: func() error { return nil }}, nil
}

type node struct {
	sandbox.Node
	exe string
}

func (n node) Processes() ([]sandbox.Process, error) {
	return []sandbox.Process{{Inside: 1, Exe: n.exe}}, nil
}

// TestJudge has a verdict follow from what the node runs, and only from that.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		r    registry
		want step.Verdict // "" is an error
	}{
		"the attacker's runs":            {registry{digest: "sha256:evil", exe: "/implant"}, step.Succeeded},
		"the original runs":              {registry{digest: "sha256:good", exe: "/app"}, step.Blocked},
		"it runs whatever the digest is": {registry{digest: "sha256:good", exe: "/implant"}, step.Succeeded},
		"the tag was pushed meanwhile":   {registry{image: "web:1", digest: "sha256:good", exe: "/app"}, ""},
		"the original does not work":     {registry{digest: "sha256:good", exe: "/app", ready: errors.New("crashed")}, ""},
	} {
		restored := false
		c.r.restored = &restored
		out, err := swapTheTag(t.Context(), &sandbox.Scene{Registry: c.r})
		if out.Verdict != c.want || (err == nil) != (c.want != "") || !restored {
			t.Errorf("%s: %+v, %v, put back: %v", name, out, err, restored)
		}
	}
	if _, err := swapTheTag(t.Context(), &sandbox.Scene{}); err == nil {
		t.Error("a verdict without a registry")
	}
}
