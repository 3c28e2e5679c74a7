package app

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "rewrite the cases under testdata with what comes out")

// TestCases loads the files of every case under testdata and compares what was
// found, written one thing a line, with the case's last file, "want".
func TestCases(t *testing.T) {
	names, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			ar, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			want := ""
			kept := ar.Files[:0:0]
			for _, f := range ar.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				kept = append(kept, f)
				if strings.HasPrefix(f.Name, "crlf/") {
					f.Data = []byte(strings.ReplaceAll(string(f.Data), "\n", "\r\n"))
				}
				if strings.HasPrefix(f.Name, "bom/") {
					f.Data = append([]byte("\ufeff"), f.Data...)
				}
				files[f.Name] = f.Data
			}
			got := dump(LoadFiles("shop", files))
			if *update {
				ar.Files = append(kept, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(name, txtar.Format(ar), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// dump writes an application down, one thing a line.
func dump(a *App, err error) string {
	var b strings.Builder
	if err != nil {
		fmt.Fprintln(&b, "error:")
		var ce *ConfigError
		if errors.As(err, &ce) {
			for _, p := range ce.Problems {
				fmt.Fprintf(&b, "%s (%s)\n", p.Error(), p.Hint)
			}
			return b.String()
		}
		fmt.Fprintln(&b, err)
		return b.String()
	}
	for _, o := range a.Objects {
		how := ""
		if o.Typed == nil {
			how = ", passed by"
		}
		if o.Within != nil {
			how += ", " + o.Within.String()
		}
		fmt.Fprintf(&b, "object %s:%d document %d: %s %s %q in %q%s\n", o.File, o.Line, o.Doc, o.APIVersion, o.Kind, o.Name, o.Namespace, how)
	}
	for _, w := range a.Workloads {
		p := w.Pos(w.PodPath)
		fmt.Fprintf(&b, "workload %s x%d, %s at %s:%d\n", w.ID(), w.Replicas, w.PodPath, p, p.Column)
		for c := range w.Containers() {
			p, q := c.Pos("image"), c.Pos("securityContext", "runAsUser")
			fmt.Fprintf(&b, "  %s[%d] %s: %s at %s:%d; runAsUser %v at %s:%d\n", c.Kind, c.Index, c.Spec.Name, c.Spec.Image, p, p.Column,
				w.Has(c.Path.Join("securityContext", "runAsUser")), q, q.Column)
		}
	}
	for _, i := range a.Images {
		fmt.Fprintf(&b, "image %s (%s)", i.Ref, i.Name)
		if i.Build != nil {
			fmt.Fprintf(&b, ": %s with %s %q %v", i.Build.Context, i.Build.Dockerfile.File, i.Build.Target, i.Build.Args)
			if i.Build.Inferred != "" {
				fmt.Fprintf(&b, ", by %s", i.Build.Inferred)
			}
		}
		if i.Broken != nil {
			fmt.Fprintf(&b, ": broken, %v", i.Broken)
		}
		fmt.Fprintln(&b)
	}
	for _, d := range a.Dockerfiles {
		for _, s := range d.Stages {
			fmt.Fprintf(&b, "stage %q from %s at %s:%d-%d\n", s.Name, s.Base, d.File, s.Line, s.EndLine)
			for _, in := range s.Instructions {
				fmt.Fprintf(&b, "  %d-%d %s %q\n", in.Line, in.EndLine, in.Name, in.Args)
			}
		}
	}
	for _, p := range a.Problems {
		fmt.Fprintf(&b, "problem %s at column %d (%s)\n", p.Error(), p.Column, p.Hint)
	}
	return b.String()
}
