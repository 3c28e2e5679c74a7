package app

import (
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// FuzzLoad loads anything as a manifest and as road.yaml: no panic, no hang, and
// every place lies in the file.
func FuzzLoad(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		ar, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range ar.Files {
			f.Add(string(file.Data))
		}
	}
	f.Add("\ro")
	f.Fuzz(func(t *testing.T, content string) {
		lines := strings.Count(content, "\n") + 1
		inside := func(p Pos) {
			if p.Line < 0 || p.Line > lines {
				t.Errorf("%v of %d lines", p, lines)
			}
		}
		a, err := LoadFiles("x", map[string][]byte{"-": []byte(content)})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range a.Problems {
			inside(p.Pos)
		}
		for _, o := range a.Objects {
			inside(o.Pos(nil))
		}
		for _, w := range a.Workloads {
			for c := range w.Containers() {
				if !w.Has(c.Path) {
					t.Errorf("%s is not there", c.Path)
				}
				inside(c.Pos("image"))
			}
		}
		if _, err := LoadFiles("x", map[string][]byte{"road.yaml": []byte(content)}); err != nil {
			for _, p := range err.(*ConfigError).Problems {
				inside(p.Pos)
			}
		}
	})
}

// FuzzDockerfile parses anything: no panic, and instructions that follow each
// other and lie in the file.
func FuzzDockerfile(f *testing.F) {
	ar, err := txtar.ParseFile("testdata/dockerfile.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range ar.Files {
		f.Add(string(file.Data))
	}
	f.Fuzz(func(t *testing.T, content string) {
		d, err := ParseDockerfile("Dockerfile", []byte(content))
		if err != nil {
			if _, ok := err.(Problem); !ok {
				t.Errorf("%T", err)
			}
			return
		}
		at := 0
		for _, s := range d.Stages {
			for _, in := range append([]Instruction{{Name: "FROM", Line: s.Line, EndLine: s.Line}}, s.Instructions...) {
				if in.Line <= at || in.EndLine < in.Line || in.EndLine > strings.Count(content, "\n")+1 {
					t.Errorf("%+v behind line %d", in, at)
				}
				at = in.EndLine
			}
		}
	})
}
