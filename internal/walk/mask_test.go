package walk

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/sandbox"
)

// tricky holds what every form of a value writes in another way.
const tricky = "Tr0ub4dor&3/+x=\"y z"

func masking(t *testing.T) *masker {
	t.Helper()
	a, err := app.LoadFiles("shop", map[string][]byte{
		"secret.yaml": []byte("apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: '" + tricky + "'}\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return newMasker(a)
}

func TestMaskKnowsEveryForm(t *testing.T) {
	m := masking(t)
	for _, shown := range []string{
		"VHIwdWI0ZG9yJjMvK3g9Inkgeg==", "VHIwdWI0ZG9yJjMvK3g9Inkgeg", "VHIwdWI0ZG9yJjMvK3g9Inkgeg",
		"Tr0ub4dor%263%2F%2Bx%3D%22y+z", "Tr0ub4dor%263%2F%2Bx%3D%22y%20z", "Tr0ub4dor&3%2F+x=%22y%20z",
		"Tr0ub4dor%263%2f%2bx%3d%22y+z", `Tr0ub4dor&3/+x=\"y z`,
		`Tr0ub4dor\u00263/+x=\"y z`, "Tr0ub4dor&amp;3/+x=&#34;y z", tricky,
	} {
		if got := m.text("<" + shown + ">"); strings.Trim(got, "<*=>") != "" {
			t.Errorf("%s: got %s", shown, got)
		}
	}
}

// The cut to what fits a line must not leave a part of a secret behind.
func TestCheckMasksBeforeItCuts(t *testing.T) {
	srv := func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(strings.Repeat("x", 190) + tricky)) }
	for _, body := range []string{"x+.*", "something else"} {
		got := checkWith(t, masking(t), srv, app.Check{HTTP: &app.HTTPCheck{Service: "web", Port: 8080, Body: body}})
		if strings.Contains(got.Detail, "Tr0ub") || !strings.Contains(got.Detail, "xxx***") {
			t.Errorf("body %q: got %q", body, got.Detail)
		}
	}
}

func TestMaskedErrorKeepsItsCause(t *testing.T) {
	cause := errors.New("said " + tricky + "\x1b[2J")
	err := masking(t).error(cause)
	if err.Error() != `said ***\x1b[2J` || !errors.Is(err, cause) {
		t.Errorf("got %q", err)
	}
}

// leaky is an engine whose error quotes what the application said.
type leaky struct{ *memory }

func (leaky) Prepare(context.Context, *app.App, sandbox.Progress) (map[string]app.ImageFacts, error) {
	return nil, errors.New("the build said " + tricky)
}

func TestErrorsOfAWalkAreMasked(t *testing.T) {
	o := options(t, &memory{}, map[string]string{"web.yaml": manifest("web"),
		"secret.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: '" + tricky + "'}\n"}, labelStep("a"))
	o.Engine = leaky{&memory{}}
	_, err := Walk(context.Background(), o)
	if err == nil || err.Error() != "the build said ***" {
		t.Errorf("got %v", err)
	}
}
