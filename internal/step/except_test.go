package step

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
)

// An exception for one container keeps the edits of that container away. Where the
// step changes what all share, the whole workload stays as it is.
func TestApplySparesContainers(t *testing.T) {
	const text = `apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: a
    image: one
  - name: b
    image: two
`
	files := edit.Files{"pod.yaml": []byte(text), "one/Dockerfile": []byte("FROM x\n"), "two/Dockerfile": []byte("FROM x\n"),
		"road.yaml": []byte("apiVersion: road/v1\nimages: {one: one, two: two}\n")}
	a, err := app.LoadFiles("test", files)
	if err != nil {
		t.Fatal(err)
	}
	set := func(path app.Path, v any) edit.Edit {
		return edit.Edit{File: "pod.yaml", Set: &edit.Set{Path: path, Value: v}}
	}
	first, second := app.Path{"spec", "containers", 0, "tty"}, app.Path{"spec", "containers", 1, "tty"}
	volumes := set(app.Path{"spec", "volumes"}, []any{edit.Map{{Key: "name", Value: "v"}}})
	lines := func(dir string) edit.Edit {
		return edit.Edit{File: dir + "/Dockerfile", Lines: &edit.Lines{After: 1, Text: "USER 1"}}
	}
	for _, c := range []struct {
		edits    []edit.Edit
		has, not []string
	}{
		{[]edit.Edit{set(first, true), set(second, true), volumes}, []string{"tty", "image: two\n    tty", "volumes"}, []string{"image: one\n    tty"}},
		{[]edit.Edit{set(first, true), set(second, true), set(app.Path{"spec", "hostUsers"}, false)}, nil, []string{"tty", "hostUsers"}},
		{[]edit.Edit{set(second, true), {File: "new.yaml", Part: true, Create: []byte("# for pod/p\n"), For: []string{"pod/p"}}}, nil, []string{"tty", "new.yaml"}},
		{[]edit.Edit{{File: "new.yaml", Create: []byte("# x\n"), For: []string{"pod/p", "pod/q"}, Bond: edit.Spare}}, nil, []string{"new.yaml"}},
		{[]edit.Edit{{File: "new.yaml", Create: []byte("# x\n"), For: []string{"pod/p", "pod/q"}}}, []string{"# x"}, nil},
		{[]edit.Edit{lines("one"), lines("two")}, []string{"two/Dockerfile:\nFROM x\nUSER 1\n"}, []string{"one/Dockerfile"}},
	} {
		leftOut := map[string]string{"pod/p a": "excepted"}
		after, refused := Apply(a, files, c.edits, leftOut)
		got := ""
		for name, content := range after {
			got += name + ":\n" + string(content)
		}
		for _, w := range c.has {
			if !strings.Contains(got, w) {
				t.Errorf("lacks %q:\n%s%v", w, got, refused)
			}
		}
		for _, w := range c.not {
			if strings.Contains(got, w) {
				t.Errorf("has %q:\n%s", w, got)
			}
		}
	}
}
