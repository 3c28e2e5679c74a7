package image

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"road/internal/app"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// A wanted image is one that a Dockerfile takes files from.
type wanted struct {
	ref  string // as written, ARGs filled in
	line int
}

// basesOf finds the images that the build needs: those of FROM, COPY --from and
// RUN --mount=from in the stages that lead to the target. Images of stages that
// are not built are not asked for.
func basesOf(b *app.Build) ([]wanted, error) {
	d := b.Dockerfile
	ast, err := parser.Parse(bytes.NewReader(d.Content))
	if err != nil {
		return nil, parseError(d.File, err)
	}
	stages, args, err := instructions.Parse(ast.AST, nil)
	if err != nil {
		return nil, parseError(d.File, err)
	}
	f := &baseFinder{stages: stages, lex: shell.NewLex(ast.EscapeToken), env: map[string]string{}, seen: map[int]bool{}}
	f.setArgs(args, b.Args)
	target := len(stages) - 1
	if b.Target != "" {
		if target = f.stage(b.Target, len(stages)); target < 0 {
			return nil, withHint(fmt.Errorf("%s: no stage %q", d.File, b.Target), "a stage gets its name by FROM image AS name")
		}
	}
	if target < 0 {
		return nil, fmt.Errorf("%s: no FROM", d.File)
	}
	if err := f.visit(target); err != nil {
		return nil, fmt.Errorf("%s:%w", d.File, err)
	}
	return f.found, nil
}

var parseErrorPrefix = regexp.MustCompile(`^dockerfile parse error on line \d+: `)

// parseError puts the parser's line where ours stands.
func parseError(file string, err error) error {
	msg := parseErrorPrefix.ReplaceAllString(err.Error(), "")
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 {
		if n := line(at.Locations[0]); n > 0 {
			return fmt.Errorf("%s:%d: %s", file, n, msg)
		}
	}
	return fmt.Errorf("%s: %s", file, msg)
}

type baseFinder struct {
	stages []instructions.Stage
	lex    *shell.Lex
	env    map[string]string // ARGs before the first FROM
	seen   map[int]bool      // stages
	found  []wanted
}

func (f *baseFinder) setArgs(args []instructions.ArgCommand, given map[string]string) {
	for _, p := range []string{"TARGET", "BUILD"} {
		f.env[p+"PLATFORM"] = "linux/" + runtime.GOARCH
		f.env[p+"OS"], f.env[p+"ARCH"], f.env[p+"VARIANT"] = "linux", runtime.GOARCH, ""
	}
	for _, a := range args {
		for _, kv := range a.Args {
			if v, ok := given[kv.Key]; ok {
				f.env[kv.Key] = v
			} else if kv.Value != nil {
				if v, _, err := f.lex.ProcessWord(*kv.Value, f); err == nil {
					f.env[kv.Key] = v
				}
			}
		}
	}
}

// Get and Keys make it the environment of the shell lexer.
func (f *baseFinder) Get(key string) (string, bool) { v, ok := f.env[key]; return v, ok }

// Keys lists the names that have a value.
func (f *baseFinder) Keys() []string {
	var keys []string
	for k := range f.env {
		keys = append(keys, k)
	}
	return keys
}

// stage finds an earlier stage by name or number, -1 if there is none.
func (f *baseFinder) stage(name string, before int) int {
	for i := before - 1; i >= 0; i-- {
		if f.stages[i].Name != "" && strings.EqualFold(f.stages[i].Name, name) {
			return i
		}
	}
	if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < before {
		return n
	}
	return -1
}

func (f *baseFinder) visit(i int) error {
	if f.seen[i] {
		return nil
	}
	f.seen[i] = true
	st := f.stages[i]
	if err := f.use(st.BaseName, i, line(st.Location)); err != nil {
		return err
	}
	for _, c := range st.Commands {
		for _, from := range froms(c) {
			if err := f.use(from, i, line(c.Location())); err != nil {
				return err
			}
		}
	}
	return nil
}

func froms(c instructions.Command) []string {
	switch c := c.(type) {
	case *instructions.CopyCommand:
		return []string{c.From}
	case *instructions.RunCommand:
		// Mounts are read once variables are filled in; none is needed to see where they come from.
		if c.Expand(func(s string) (string, error) { return s, nil }) != nil {
			return nil
		}
		var names []string
		for _, m := range instructions.GetMounts(c) {
			names = append(names, m.From)
		}
		return names
	}
	return nil
}

// use notes the image called name, or visits the stage of that name.
func (f *baseFinder) use(name string, before, line int) error {
	if name == "" {
		return nil
	}
	word, _, err := f.lex.ProcessWord(name, f)
	if err != nil {
		return fmt.Errorf("%d: %w", line, err)
	}
	if word == "" {
		return withHint(fmt.Errorf("%d: the base %q is empty", line, name), "give its ARG a default, or a value under images: in road.yaml")
	}
	if word == "scratch" || word == "context" {
		return nil
	}
	if i := f.stage(word, before); i >= 0 {
		return f.visit(i)
	}
	if _, err := reference.ParseNormalizedNamed(word); err != nil {
		return fmt.Errorf("%d: image %q: %w", line, word, err)
	}
	for _, w := range f.found {
		if w.ref == word {
			return nil
		}
	}
	f.found = append(f.found, wanted{word, line})
	return nil
}

func line(l []parser.Range) int {
	if len(l) == 0 {
		return 0
	}
	return l[0].Start.Line
}

// contextKey is the name under which BuildKit's front end looks for a named
// context in place of an image.
func contextKey(ref string) string {
	n, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	return strings.TrimSuffix(reference.FamiliarString(reference.TagNameOnly(n)), ":latest")
}

// contextFolder is the build context on disk. A link may not lead it out of root.
func contextFolder(root string, b *app.Build) (string, error) {
	name := b.Context
	if name == "" {
		name = "."
	}
	top, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", err
	}
	dir, err := filepath.EvalSymlinks(filepath.Join(top, filepath.FromSlash(name)))
	if err != nil {
		return "", withHint(fmt.Errorf("%s: no build context: %w", b.Dockerfile.File, err), "name the folder under images: in road.yaml")
	}
	if rel, err := filepath.Rel(top, dir); err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fmt.Errorf("%s: the build context %s leads out of %s", b.Dockerfile.File, name, root)
	}
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return "", fmt.Errorf("%s: the build context %s is not a folder", b.Dockerfile.File, name)
	}
	return dir, nil
}

// dockerfileFolder writes the Dockerfile as it is in memory, under the name that
// errors are to show, with the ignore file of its own where there is one.
func (s *Store) dockerfileFolder(root string, b *app.Build) (dir string, done func(), err error) {
	dir, done, err = s.tempDir("dockerfile")
	if err != nil {
		return "", nil, err
	}
	name := filepath.FromSlash(b.Dockerfile.File)
	if !filepath.IsLocal(name) {
		name = "Dockerfile"
	}
	if err = os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err == nil {
		err = os.WriteFile(filepath.Join(dir, name), b.Dockerfile.Content, 0o600)
	}
	ignore := filepath.Join(root, name+".dockerignore")
	if st, serr := os.Stat(ignore); err == nil && serr == nil && st.Mode().IsRegular() { // a pipe would never end
		var b []byte
		if b, err = os.ReadFile(ignore); err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".dockerignore"), b, 0o600)
		}
	}
	if err != nil {
		done()
		return "", nil, s.explain(err)
	}
	return dir, done, nil
}

// shortName is an image's name for people: no registry, no folders, no tag.
func shortName(ref string) string {
	n, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return ref
	}
	p := reference.Path(n)
	return p[strings.LastIndexByte(p, '/')+1:]
}
