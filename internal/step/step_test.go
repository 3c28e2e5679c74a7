package step

import (
	"context"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
)

// whole gives a step without a fault.
func whole() *Step {
	return &Step{
		Name: "a-step", Title: "Do something", Refs: []Ref{{"CIS", "1"}},
		Explain: "# A step\n## What changes?\n## What does this prevent?\n## What can it break?\n## How is it proven?\n",
		Check:   func(*app.App) []Finding { return nil },
		Fix:     func(*app.App) ([]edit.Edit, error) { return nil, nil },
		Weaken:  func(*app.App) {},
		Attacks: []Attack{{Name: "an-attack", Goal: "get in", Transport: Code, Run: func(context.Context, *sandbox.Scene) (Outcome, error) { return Outcome{}, nil }}},
	}
}

func TestValidate(t *testing.T) {
	if err := Validate([]*Step{whole()}); err != nil {
		t.Fatalf("a whole step: %v", err)
	}
	for _, c := range []struct {
		change func(*Step)
		want   string
	}{
		{func(s *Step) { s.Name = "A_Step" }, "not kebab-case"},
		{func(s *Step) { s.Title = "Do it." }, "without a period"},
		{func(s *Step) { s.Explain = strings.Replace(s.Explain, "## What can it break?\n", "", 1) }, `lacks the heading "## What can it break?"`},
		{func(s *Step) {
			s.Explain = "## How is it proven?\n## What changes?\n## What does this prevent?\n## What can it break?\n"
		}, `"## How is it proven?"`},
		{func(s *Step) { s.Refs = nil }, "no Refs"},
		{func(s *Step) { s.Refs[0].ID = "" }, "lacks its framework or id"},
		{func(s *Step) { s.Check = nil }, "no Check"},
		{func(s *Step) { s.Fix = nil }, "no Fix"},
		{func(s *Step) { s.Weaken = nil }, "no Weaken"},
		{func(s *Step) { s.Attacks = nil }, "no Attacks"},
		{func(s *Step) { s.Attacks[0].Name = "" }, "not kebab-case"},
		{func(s *Step) { s.Attacks[0].Goal = "a\nb" }, "goal must be one line"},
		{func(s *Step) { s.Attacks[0].Transport = "post" }, `unknown transport "post"`},
		{func(s *Step) { s.Attacks[0].Open = "yes" }, "must say why"},
		{func(s *Step) { s.Attacks[0].Run = nil }, "no Run"},
		{func(s *Step) { s.Attacks = append(s.Attacks, s.Attacks[0]) }, `attack "an-attack": the name is taken`},
	} {
		s := whole()
		c.change(s)
		if err := Validate([]*Step{s}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want ...%s...", err, c.want)
		}
	}
}

func TestValidateTellsStepsApart(t *testing.T) {
	err := Validate([]*Step{whole(), whole(), nil})
	for _, want := range []string{`step "a-step": the name is taken`, `attack "an-attack": the name is taken`, "step 2: is nil"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want ...%s...", err, want)
		}
	}
}

func TestPlanTags(t *testing.T) {
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: %}\nspec:\n  containers:\n  - {name: web, image: \"web:1\"}\n  - {name: other, image: other}\n"
	load := func(config string, stop int) *app.App {
		a, err := app.LoadFiles("test", map[string][]byte{
			"road.yaml":        []byte("apiVersion: road/v1\n" + config),
			"web/Dockerfile":   []byte("FROM scratch\nCMD [\"/web\"]\n"),
			"other/Dockerfile": []byte("FROM scratch\nCMD [\"/other\"]\n"),
			"a.yaml":           []byte(strings.Replace(pod, "%", "a", 1)),
			"b.yaml":           []byte(strings.Replace(pod, "%", "b", 1)),
		})
		if err != nil || len(a.Workloads) != 2 {
			t.Fatalf("%d workloads, %v", len(a.Workloads), err)
		}
		a.Stop = stop
		return a
	}
	s := whole()
	s.Fix = func(*app.App) ([]edit.Edit, error) {
		return []edit.Edit{{File: "web/Dockerfile", Lines: &edit.Lines{After: 1, Text: "USER 1"}}}, nil
	}
	for _, c := range []struct {
		config string
		stop   int
		want   string
	}{
		{"steps: {tags: stop}\n", 2, "a.yaml spec.containers[0].image web:2, b.yaml spec.containers[0].image web:2"},
		{"steps: {tags: stop}\n", 1, ""}, // it is called that already
		{"steps: {tags: stop}\n", 0, ""}, // outside a walk
		{"", 2, ""},
	} {
		edits, err := Plan(s, load(c.config, c.stop))
		if err != nil || len(edits) == 0 || edits[0].Lines == nil {
			t.Fatalf("got %v, %v", edits, err)
		}
		var got []string
		for _, e := range edits[1:] {
			got = append(got, e.File+" "+e.Set.Path.String()+" "+e.Set.Value.(string))
		}
		if got := strings.Join(got, ", "); got != c.want {
			t.Errorf("%q at stop %d: got %q, want %q", c.config, c.stop, got, c.want)
		}
	}
}

func TestSort(t *testing.T) {
	at := func(file string, line int, message string) Finding {
		return Finding{Pos: app.Pos{File: file, Line: line}, Message: message}
	}
	f := []Finding{at("b", 1, ""), at("a", 10, "x"), at("a", 2, ""), at("a", 10, "y")}
	Sort(f)
	var got []string
	for _, f := range f {
		got = append(got, f.Pos.String()+f.Message)
	}
	if s := strings.Join(got, " "); s != "a:2 a:10x a:10y b:1" {
		t.Errorf("got %s", s)
	}
}
