package serviceaccount

import (
	"testing"

	"road/internal/app"
	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

// TestQuoted has a name stay a name, whatever YAML would make of it.
func TestQuoted(t *testing.T) {
	for name, want := range map[string]string{
		"web": "web", "web-2": "web-2", "2048": `"2048"`, "true": `"true"`, "no": `"no"`, "a.b": `"a.b"`, "1e3": `"1e3"`, "": `""`,
	} {
		if got := quoted(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
		a, err := app.LoadFiles("test", map[string][]byte{"a.yaml": manifest("x"+name, name, []string{name})})
		if err != nil || len(a.Objects) != 1 || a.Objects[0].Name != "x"+name || a.Objects[0].Namespace != name {
			t.Errorf("%q: %+v, %v", name, a, err)
		}
	}
}

// TestNoName makes no account for a pod whose name the cluster will give.
func TestNoName(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{"p.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {generateName: p-}\nspec: {containers: [{name: c, image: i}]}\n")})
	if err != nil {
		t.Fatal(err)
	}
	edits, err := Step.Fix(a)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		if e.Create != nil {
			t.Errorf("%s: %s", e.File, e.Create)
		}
	}
}
