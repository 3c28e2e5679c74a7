package minimalimage

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"
)

// A rung says how much of its base an image keeps. The lowest on which the
// application works is its own.
type rung int

const (
	opened   rung = iota // what it was seen to open
	packaged             // the Debian packages that it opened files of, without their programs
	slimmed              // everything but the package manager, manuals and setuid files
)

// What a trial grants to an image, as reports say it: all but these are directories.
const (
	wholePackages = "the whole of the packages that it uses"
	withShell     = "its shell and the programs that this runs"
	slimBase      = "its whole base but for the package manager"
)

// granted says whether a trial gave that to one of the image's containers.
func (t *target) granted(a *app.App, name string) bool {
	return slices.ContainsFunc(t.uses, func(c *app.Container) bool { return inside(a, c) != nil && slices.Contains(inside(a, c).Kept, name) })
}

// packaged says whether the image is made of Debian packages, as far as a run
// showed.
func (t *target) packaged(a *app.App) bool {
	return !slices.ContainsFunc(t.uses, func(c *app.Container) bool { return inside(a, c) == nil || inside(a, c).Packages == nil })
}

// rung gives where an image stands: on the lowest rung, unless its program loads
// parts of itself when it needs them, so that no run shows them all, or a trial
// showed that it needs more.
func (t *target) rung(a *app.App) rung {
	switch {
	case !t.packaged(a):
		return opened
	case t.granted(a, slimBase):
		return slimmed
	case t.granted(a, wholePackages), t.granted(a, withShell), t.loads(a) != "":
		return packaged
	}
	return opened
}

// interpreter are programs whose language is loaded module by module.
var interpreter = regexp.MustCompile(`^(python|perl|ruby|node|nodejs|php|php-fpm|php-cgi|java|lua|luajit|tclsh|guile|erl|beam|beam\.smp|dotnet|Rscript|R)[0-9.]*$`)

// loads gives what an image's program is seen to load itself from: an interpreter,
// or the directory of its plug-ins; "" where it is a program of one piece.
func (t *target) loads(a *app.App) string {
	for _, c := range t.uses {
		in := inside(a, c)
		for _, name := range in.Ran {
			if interpreter.MatchString(path.Base(name)) {
				return name
			}
		}
		for _, name := range in.Opened {
			if dir := path.Dir(name); library.MatchString(name) && !loader.MatchString(name) && !libDir.MatchString(dir) && in.Packages[name] != "" {
				return dir
			}
		}
	}
	return ""
}

// asIs starts the image's containers as they are started now, by a shell.
func (t *target) asIs(a *app.App) *start {
	facts := t.facts(a)
	s := &start{entrypoint: facts.Entrypoint, cmd: facts.Cmd, shellFor: "the application works with it only"}
	for _, c := range t.uses {
		argv := c.Spec.Command
		if len(argv) == 0 {
			argv = slices.Concat(facts.Entrypoint, facts.Cmd)
		}
		if len(argv) == 0 {
			argv = c.Spec.Args
		}
		if len(argv) == 0 {
			return s
		}
		s.programs = append(s.programs, called(argv[0], c, facts))
		for _, p := range hooks(c) {
			s.programs = append(s.programs, called(p[0], c, facts))
		}
	}
	slices.Sort(s.programs)
	s.programs = slices.Compact(s.programs)
	return s
}

// keeps says what stays in the images of a workload that an attacker can use.
func keeps(a *app.App, workload string) []string {
	var out []string
	for _, t := range targets(a) {
		if !slices.ContainsFunc(t.workloads(), func(w *app.Workload) bool { return w.ID() == workload }) || t.minimal(a) {
			continue
		}
		p, _ := t.plan(a)
		if p == nil {
			continue
		}
		switch {
		case p.rung == slimmed:
			out = append(out, fmt.Sprintf("the shell and the tools of the base of image %q, and loses the package manager", t.image.Name))
		case p.shellFor != "":
			out = append(out, fmt.Sprintf("a shell, and what it was seen to run, in image %q: %s", t.image.Name, p.shellFor))
		}
		if interpreter.MatchString(path.Base(p.loads)) {
			out = append(out, fmt.Sprintf("%s in image %q, which runs any code of its language: the application is written in it", path.Base(p.loads), t.image.Name))
		}
	}
	return out
}

// addPackages takes over the packages that own what was opened, and the links
// that lead there; what no package owns is the application's own, and comes as a
// whole.
func (p *plan) addPackages(t *target, a *app.App) {
	names := map[string]bool{}
	for _, c := range t.uses {
		in := inside(a, c)
		for _, name := range in.Opened {
			pkg := in.Packages[name]
			if pkg == "" || isShell(name) && p.shellFor == "" || inPath(name) && !slices.Contains(in.Ran, name) {
				continue
			}
			names[pkg] = true
			p.compiled = p.compiled || strings.Contains(name, "/__pycache__/")
		}
		for link, to := range in.Links {
			if !loader.MatchString(to) && plain(link) && (!isShell(to) || p.shellFor != "") && !p.calls(link, to) {
				p.links = append(p.links, quote(portable(link)))
			}
		}
	}
	for name := range names {
		p.packages = append(p.packages, name)
	}
	slices.Sort(p.packages)
	slices.Sort(p.links)
	p.links = slices.Compact(p.links)
}

// inPath says whether a file lies where programs are looked for.
func inPath(name string) bool { return slices.Contains(pathDirs, path.Dir(name)) }

var pathDirs = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// calls says whether a link, or the program that it leads to, is what is called:
// that is looked up by its name.
func (p *plan) calls(link, to string) bool {
	return slices.ContainsFunc(p.programs, func(name string) bool {
		return name == link || path.Base(name) == path.Base(to) || !strings.Contains(name, "/") && path.Base(link) == name
	})
}
