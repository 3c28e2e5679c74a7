package nonroot

import (
	"testing"

	"road/internal/app"
	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

// TestWeakenWritesTheDockerfile has each stage that makes an image end as root in
// the bytes that are built, however the file goes on behind it.
func TestWeakenWritesTheDockerfile(t *testing.T) {
	files := map[string][]byte{
		"road.yaml":  []byte("apiVersion: road/v1\nimages:\n  one: {context: ., target: one}\n  two: {context: ., target: two}\n  again: {context: ., target: one}\n"),
		"Dockerfile": []byte("FROM a AS one\nUSER 1\nFROM b AS between\nUSER 2\nFROM c AS two\nUSER 3\nCMD [\"x\"]"),
		"pod.yaml":   []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: one}, {name: b, image: two}, {name: c, image: again}]}\n"),
	}
	a, err := app.LoadFiles("test", files)
	if err != nil {
		t.Fatal(err)
	}
	Step.Weaken(a)
	want := "FROM a AS one\nUSER 1\nUSER root\nFROM b AS between\nUSER 2\nFROM c AS two\nUSER 3\nCMD [\"x\"]\nUSER root\n"
	for _, img := range a.Images {
		if got := string(img.Build.Dockerfile.Content); got != want {
			t.Errorf("image %s:\n%s", img.Ref, got)
		}
	}
	// What is in memory is what a second reading of those bytes gives.
	files["Dockerfile"] = []byte(want)
	again, err := app.LoadFiles("test", files)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range again.Images[0].Build.Dockerfile.Stages {
		got := a.Images[0].Build.Dockerfile.Stages[i]
		if got.Line != s.Line || got.EndLine != s.EndLine || got.Last("USER").Line != s.Last("USER").Line || got.Last("USER").Args != s.Last("USER").Args {
			t.Errorf("stage %s: %+v in memory, %+v when read", s.Name, got, s)
		}
	}
}

// TestOddPods has nothing to say of pods without containers or images, and does
// not fall over them.
func TestOddPods(t *testing.T) {
	for _, spec := range []string{
		"{securityContext: {runAsUser: 0}}",
		"{securityContext: {runAsUser: 0}, containers: []}",
		"{containers: [{name: a}]}",
		"{containers: [{name: a, image: ''}]}",
		"{initContainers: [{name: a, image: i}], containers: [{name: a, image: 'i@sha256:x'}], ephemeralContainers: [{name: e, image: i, securityContext: {runAsUser: 0}}]}",
	} {
		a, err := app.LoadFiles("test", map[string][]byte{"pod.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: " + spec + "\n")})
		if err != nil {
			t.Fatal(err)
		}
		Step.Check(a)
		if _, err := Step.Fix(a); err != nil {
			t.Errorf("%s: %v", spec, err)
		}
		Step.Weaken(a)
	}
}
