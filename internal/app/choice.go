package app

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A rawChoice is what road.yaml chooses for one workload in one step.
type rawChoice struct {
	line int
	node *yaml.Node
}

// choice decodes the choice for a workload: what holds for all, and over it that
// by ID or else that by name.
func (c *Config) choice(step string, w *Workload, into any) error {
	choices := c.Steps[step]
	if choices == nil {
		return nil
	}
	raw, ok := choices.workloads[w.ID()]
	if !ok {
		raw, ok = choices.workloads[w.Name]
	}
	if !ok && len(choices.all) == 0 {
		return nil
	}
	raw.node = withAll(choices, raw.node)
	target := reflect.ValueOf(into).Elem()
	old := reflect.New(target.Type()).Elem()
	old.Set(target)
	_, faults := decode(raw.node, func() any { target.Set(old); return into })
	if len(faults) == 0 {
		return nil
	}
	target.Set(old)
	e := &ConfigError{}
	for _, f := range faults {
		e.Problems = append(e.Problems, Problem{
			Pos:     Pos{cmp.Or(c.File, FileName), f.node.Line, f.node.Column},
			Message: fmt.Sprintf("steps: %s: %s: %s", step, w.Name, f.message),
			Hint:    f.hint,
		})
	}
	slices.SortStableFunc(e.Problems, func(a, b Problem) int { return a.Line - b.Line })
	return e
}

// withAll puts what is chosen for every workload below a workload's own choices.
func withAll(c *Choices, own *yaml.Node) *yaml.Node {
	if len(c.all) == 0 {
		return own
	}
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: c.Line}
	if own != nil {
		n.Content = slices.Clone(own.Content)
	}
	for i := 0; i < len(c.all); i += 2 {
		if field(n, c.all[i].Value) == nil {
			n.Content = append(n.Content, c.all[i], c.all[i+1])
		}
	}
	return n
}

// references reports what road.yaml names and the application lacks.
func (l *loader) references() {
	a, c := l.app, l.app.Config
	missing := func(line int, hint, format string, args ...any) {
		a.Problems = append(a.Problems, Problem{Pos{File: cmp.Or(c.File, FileName), Line: line}, fmt.Sprintf(format, args...), hint, false})
	}
	for _, m := range c.Manifests {
		inside := func(f *Manifest) bool { return m == "." || f.File == m || strings.HasPrefix(f.File, m+"/") }
		if !slices.ContainsFunc(a.Manifests, inside) {
			missing(c.lines["manifests "+m], "", "%s holds no manifest", m)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Images)) {
		i := c.Images[name]
		if i.Archive != "" {
			if why := l.unreachable(i.Archive); why != "" {
				missing(c.lines["images "+name], "name a docker save file or the folder of an OCI layout, relative to PATH", "image %s: %s: %s", name, i.Archive, why)
			}
			continue
		}
		d := a.Dockerfile(i.file(c.dir(), l.exists))
		if d == nil && !l.exists(i.file(c.dir(), l.exists)) {
			missing(c.lines["images "+name], "name the folder that holds its Dockerfile", "image %s: there is no %s", name, i.file(c.dir(), l.exists))
		}
		if d != nil && d.Final(i.Target) == nil {
			missing(c.lines["images "+name], "", "image %s: %s has no stage %q", name, d.File, i.Target)
		}
	}
	for _, k := range c.StepKeys() {
		choices := c.Steps[k.Step].workloads
		for _, w := range slices.Sorted(maps.Keys(choices)) {
			if a.Workload(w) == nil && !l.named(w) {
				missing(choices[w].line, "", "steps: %s: there is no workload %s", k.Step, w)
			}
		}
	}
	for _, host := range slices.Sorted(maps.Keys(c.Services)) {
		i := c.Services[host]
		if i.Workload != "" && a.Workload(i.Workload) == nil {
			missing(i.Line, "", "service %s: there is no workload %s, or more than one", host, i.Workload)
		}
		for _, w := range a.Workloads {
			if a.Serves(host, w.Home()) {
				missing(i.Line, "take it out, or call it otherwise", "service %s: PATH has a Service of that name, which pods find first", host)
				break
			}
		}
	}
	for _, ch := range c.Checks {
		for _, w := range []string{ch.Restart, ch.From.Workload} {
			if w != "" && a.Workload(w) == nil {
				missing(ch.Line, "", "check %s: there is no workload %s, or more than one", ch.Name, w)
			}
		}
	}
}

// unreachable says why a file of PATH cannot be used; "" where it can, and where
// the application lies in memory.
func (l *loader) unreachable(name string) string {
	if l.app.Root == "" {
		return ""
	}
	dir, err := os.OpenRoot(l.app.Root)
	if err != nil {
		return reason(err)
	}
	defer dir.Close()
	if _, err := dir.Stat(filepath.FromSlash(name)); err != nil {
		return reason(err)
	}
	return ""
}

// named says whether any workload has that name.
func (l *loader) named(name string) bool {
	return slices.ContainsFunc(l.app.Workloads, func(w *Workload) bool { return w.Name == name })
}
