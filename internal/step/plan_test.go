package step

import (
	"bytes"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
)

// pinnedApp is an image that is built from PATH and named by digest.
func pinnedApp(t *testing.T, config string) *app.App {
	t.Helper()
	a, err := app.LoadFiles("test", map[string][]byte{
		"web/Dockerfile": []byte("FROM scratch\nUSER 7\n"),
		"pod.yaml":       []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: 'web:1@sha256:" + strings.Repeat("0", 64) + "'}]}\n"),
		"road.yaml":      []byte("apiVersion: road/v1\n" + config),
	})
	if err != nil {
		t.Fatal(err)
	}
	a.Stop = 2
	return a
}

// TestADigestGoesWithItsImage has a step that changes a Dockerfile take the
// digest of the image as it was away, so that the change is what runs.
func TestADigestGoesWithItsImage(t *testing.T) {
	s := whole()
	s.Fix = func(*app.App) ([]edit.Edit, error) {
		return []edit.Edit{{File: "web/Dockerfile", Lines: &edit.Lines{After: 2, Text: "USER 8"}}}, nil
	}
	for config, want := range map[string]string{"": "web:1", "steps: {tags: stop}\n": "web:2"} {
		a := pinnedApp(t, config)
		edits, err := Plan(s, a)
		if err != nil || len(edits) != 2 || edits[1].Set.Value != want {
			t.Errorf("%q: %+v, %v; want the image to become %s", config, edits, err, want)
		}
	}
	s.Publish = true // it writes digests itself, and a pinned base is the same base
	if edits, err := Plan(s, pinnedApp(t, "")); err != nil || len(edits) != 1 {
		t.Errorf("%+v, %v", edits, err)
	}
}

// TestWeakenRunsWhatItWeakened has an image whose Dockerfile is weakened be
// built, and not found by its digest; any other keeps it.
func TestWeakenRunsWhatItWeakened(t *testing.T) {
	s := whole()
	a := pinnedApp(t, "")
	if Weaken(s, a); !strings.Contains(a.Images[0].Ref, "@") {
		t.Errorf("nothing was weakened, and the digest is gone: %s", a.Images[0].Ref)
	}
	s.Weaken = func(a *app.App) {
		a.Dockerfiles[0].Content = bytes.Replace(a.Dockerfiles[0].Content, []byte("7"), []byte("0"), 1)
	}
	Weaken(s, a)
	for c := range a.Workloads[0].Containers() {
		if c.Spec.Image != "web:1" || a.Image("web:1") == nil {
			t.Errorf("%s would run instead of what was weakened", c.Spec.Image)
		}
	}
}
