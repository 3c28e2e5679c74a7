package app

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type nonRoot struct {
	ImageUser int    `json:"imageUser"`
	User      *int64 `json:"user"`
	AnyUser   bool   `json:"anyUser"`
}

func TestRegistry(t *testing.T) {
	for name, ok := range map[string]bool{
		"in-process": true, "registry.example.com": true, "registry.example.com:5000/shop/web": true, "localhost:5000": true, "localhost/shop": true, "reg:5000": true,
		"shop": false, "": false, "https://registry.example.com": false, "registry.example.com/": false, "a b.c": false, "Registry.example.com": false,
	} {
		a, err := LoadFiles("x", map[string][]byte{"pod.yaml": []byte(pod), "road.yaml": []byte("apiVersion: road/v1\nsteps:\n  registry: \"" + name + "\"\n")})
		if ok && (err != nil || a.Config.Registry() != name || len(a.Config.StepKeys()) != 0) {
			t.Errorf("%q: %v", name, err)
		}
		if !ok && (err == nil || !strings.Contains(err.Error(), "road.yaml:3: ")) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestChoice(t *testing.T) {
	a, err := LoadFiles("x", map[string][]byte{"pod.yaml": []byte(pod), "road.yaml": []byte(`apiVersion: road/v1
steps:
  tags: stop
  non-root:
    web: {imageUser: 1}
    pod/web: {imageUser: 5678, anyUser: on}
  limits:
    web:
      user: 1
      usr: 2
      imageUser: many
  other:
`)})
	if err != nil || len(a.Problems) != 0 {
		t.Fatal(dump(a, err))
	}
	w, c := a.Workloads[0], a.Config
	if !c.TagsByStop() {
		t.Error("tags: stop was not read")
	}
	user := int64(7)
	got := nonRoot{User: &user}
	if err := c.Choice("non-root", w, &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(nonRoot{5678, &user, true}, got); d != "" {
		t.Errorf("the choice by ID, over what was there: -want +got:\n%s", d)
	}
	if err := c.Choice("nothing", w, &got); err != nil {
		t.Error(err)
	}
	got = nonRoot{ImageUser: 3}
	err = c.Choice("limits", w, &got)
	var ce *ConfigError
	want := `road.yaml:10: steps: limits: web: unknown field "usr"
road.yaml:11: steps: limits: web: imageUser: a string, where a number belongs`
	if !errors.As(err, &ce) || err.Error() != want {
		t.Errorf("%v", err)
	}
	if got.ImageUser != 3 || got.User != nil {
		t.Errorf("a wrong choice changed %+v", got)
	}
	var keys []string
	for _, k := range c.StepKeys() {
		keys = append(keys, k.String()+" "+k.Step)
	}
	if d := cmp.Diff([]string{"road.yaml:4 non-root", "road.yaml:7 limits"}, keys); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

func TestNoRoadYAML(t *testing.T) {
	for name, content := range map[string]map[string][]byte{
		"none": nil, "empty": {"road.yaml": nil}, "comments": {"road.yaml": []byte("# nothing\n")},
	} {
		a, err := LoadFiles("x", content)
		if err != nil || a.Config == nil || a.Config.TagsByStop() || len(a.Config.StepKeys()) != 0 {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// TestChoiceForAll has a choice for every workload give way to a workload's own.
func TestChoiceForAll(t *testing.T) {
	a, err := LoadFiles("x", map[string][]byte{"pod.yaml": []byte(pod), "road.yaml": []byte(`apiVersion: road/v1
steps:
  limits: {cpu: "2", memory: 1Gi}
  seccomp:
    profile: localhost
    web: {profile: runtime-default}
`)})
	if err != nil || len(a.Problems) != 0 {
		t.Fatal(dump(a, err))
	}
	for _, c := range []struct{ step, want string }{{"limits", "2 1Gi"}, {"seccomp", "runtime-default "}, {"other", "x "}} {
		a.Config.Choose("other", "cpu", "y")
		a.Config.Choose("other", "cpu", "x")
		a.Config.Choose("seccomp", "profile", "all")
		var got struct {
			CPU     string `json:"cpu"`
			Memory  string `json:"memory"`
			Profile string `json:"profile"`
		}
		if err := a.Config.Choice(c.step, a.Workloads[0], &got); err != nil {
			t.Fatal(err)
		}
		if s := got.CPU + got.Profile + " " + got.Memory; s != c.want {
			t.Errorf("%s: %q", c.step, s)
		}
	}
	var got struct {
		Memory string `json:"memory"`
	}
	if err := a.Config.Choice("limits", a.Workloads[0], &got); err == nil || err.Error() != `road.yaml:3: steps: limits: web: unknown field "cpu"` {
		t.Error(err)
	}
}
