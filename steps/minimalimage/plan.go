package minimalimage

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// A plan is what the last stage of an image is to hold.
type plan struct {
	*start
	facts app.ImageFacts
	rung  rung
	build []goBuild // lines of Go builds that become static

	static  []string // programs that need no library: what Go builds
	dynamic []string // programs and plug-ins whose libraries come along, as words for a shell
	dirs    []string // directories that come along without what is in them, and links to streams
	files   []string // single files, as words for a shell
	whole   []string // directories that come along with all that is in them

	packages []string // Debian packages that come along, on the rung packaged
	links    []string // links that lead to programs and libraries
	loads    string   // what its program loads itself from, "" where it is of one piece
	compiled bool     // Python keeps compiled modules beside them, which no package lists
}

// plan says what an image needs, or why it cannot be made smaller, as far as is
// known. Both are empty where only a run can tell.
func (t *target) plan(a *app.App) (*plan, string) {
	if b := t.image.Broken; b != nil {
		return nil, fmt.Sprintf("its Dockerfile could not be read: %v", b)
	}
	if t.stage == nil {
		return nil, "it comes from elsewhere, and not from a Dockerfile here"
	}
	if why := t.unreadable(); why != "" {
		return nil, why
	}
	if !t.seen(a) {
		if t.ran(a) {
			return nil, "the kernel here does not show what its containers open"
		}
		return nil, ""
	}
	if what := t.hidden(a); what != "" {
		return nil, fmt.Sprintf("what a run showed of it was saved without its secrets (%s), which it would lose; road walk keeps them", what)
	}
	p := &plan{facts: t.facts(a), rung: t.rung(a), loads: t.loads(a)}
	s, err := t.starts(a)
	if err == nil && !t.granted(a, withShell) && p.rung < slimmed {
		if shell := t.runsShell(a, s); shell != "" {
			err = fmt.Errorf("the application itself runs a shell (%s)", shell)
		}
	}
	switch {
	case err == nil && !t.granted(a, withShell) && p.rung < slimmed:
	case t.packaged(a) && t.asIs(a).programs != nil:
		s, p.rung = t.asIs(a), max(p.rung, packaged)
		if err != nil {
			s.shellFor = err.Error()
		}
	case err != nil:
		return nil, err.Error()
	}
	p.start = s
	p.addPrograms(t, a)
	p.addFiles(t, a)
	p.addMissed(t, a)
	if p.rung == packaged {
		p.addPackages(t, a)
	}
	return p, ""
}

// hidden names what is not known of how the image runs, since a record of a run
// holds no secrets; "" where all of it is known.
func (t *target) hidden(a *app.App) string {
	facts := t.facts(a)
	live := t.live(facts.Env)
	for _, kv := range facts.Env {
		if name, v, _ := strings.Cut(kv, "="); live[name] == "" && strings.Contains(v, app.Hidden) {
			return "ENV " + name
		}
	}
	if strings.Contains(strings.Join(slices.Concat(facts.Entrypoint, facts.Cmd), " "), app.Hidden) {
		return "its command"
	}
	return ""
}

// unreadable says why a Dockerfile cannot be continued, "" where it can.
func (t *target) unreadable() string {
	if t.image.Build.Target != "" {
		return fmt.Sprintf("it is built by the name of its stage, %q", t.image.Build.Target)
	}
	for _, s := range t.file.Chain(t.stage) {
		if strings.Contains(s.Base, "{{") {
			return fmt.Sprintf("%s:%d: a template", t.file.File, s.Line)
		}
		if windowsBase.MatchString(s.Base) {
			return "it is an image for Windows"
		}
		for _, in := range s.Instructions {
			if in.Name == "ONBUILD" {
				return fmt.Sprintf("%s:%d: ONBUILD is for images that start from this one", t.file.File, in.Line)
			}
		}
	}
	return ""
}

var windowsBase = regexp.MustCompile(`nanoserver|servercore|(^|/)windows(/|:|$)`)

// runsShell gives the shell that a container was seen to run although its command
// needs none and no hook of its manifest does: a script is at work.
func (t *target) runsShell(a *app.App, s *start) string {
	if s.shell {
		return "" // that may have been the one in front; a run will tell
	}
	for _, c := range t.uses {
		asked := slices.ContainsFunc(hooks(c), func(argv []string) bool { return slices.Contains(shellNames, path.Base(argv[0])) })
		for _, name := range inside(a, c).Ran {
			if isShell(name) && !asked {
				return name
			}
		}
	}
	return ""
}

func isShell(name string) bool {
	base := path.Base(name)
	return slices.Contains(shellNames, base) || base == "busybox"
}

var (
	loader  = regexp.MustCompile(`/ld(-linux|-musl|64)?[-.][^/]*so[.0-9]*$`)
	library = regexp.MustCompile(`\.so(\.[0-9.]+)?$`)
	libDir  = regexp.MustCompile(`^(/usr)?(/local)?/lib(32|64|x32)?(/[a-z0-9_]+-linux-[a-z0-9]+)?$`)
	triplet = regexp.MustCompile(`/(x86_64|i386|aarch64|arm|riscv64|powerpc64le|s390x)-linux-[a-z0-9]+/`)
)

// addPrograms takes over the programs that are started and those that they were
// seen to run.
func (p *plan) addPrograms(t *target, a *app.App) {
	p.build = t.goBuilds()
	for _, name := range p.programs {
		if slices.ContainsFunc(p.build, func(b goBuild) bool { return b.makes(name) }) {
			p.static = append(p.static, found(name))
		} else {
			p.dynamic = append(p.dynamic, found(name))
		}
	}
	if len(p.static) == 0 {
		p.build = nil
	}
	ran := map[string]bool{}
	hookShell := false
	for _, c := range t.uses {
		for _, h := range hooks(c) {
			hookShell = hookShell || isShell(h[0])
		}
		for _, name := range inside(a, c).Ran {
			if !loader.MatchString(name) && (!isShell(name) || hookShell && !p.shell || p.shellFor != "") {
				ran[name] = true
			}
		}
	}
	for r := range ran {
		if !slices.ContainsFunc(p.programs, func(name string) bool { return t.leadsTo(a, name, r) }) {
			p.dynamic = append(p.dynamic, quote(portable(r)))
		}
	}
	slices.Sort(p.dynamic)
	p.dynamic = slices.Compact(p.dynamic)
}

// found gives a program as a word for a shell, which looks up in PATH what has
// no directory.
func found(name string) string {
	if strings.Contains(name, "/") {
		return quote(name)
	}
	return "$(command -v " + quote(name) + ")"
}

// leadsTo says whether a program that is called by name is the one that was seen
// to run as real: a link may lie between.
func (t *target) leadsTo(a *app.App, name, real string) bool {
	return path.Base(name) == path.Base(real) || slices.ContainsFunc(t.uses, func(c *app.Container) bool {
		for link, to := range inside(a, c).Links {
			if to == real && path.Base(link) == path.Base(name) {
				return true
			}
		}
		return false
	})
}

// roots are directories from which only the files themselves are taken that were
// opened: they are everybody's, or too much.
var roots = []string{"/", "/bin", "/etc", "/etc/ssl", "/etc/ssl/certs", "/home", "/lib", "/lib64", "/mnt", "/opt", "/root", "/run", "/sbin", "/srv", "/tmp",
	"/usr", "/usr/bin", "/usr/lib", "/usr/libexec", "/usr/local", "/usr/local/bin", "/usr/local/lib", "/usr/local/share", "/usr/sbin", "/usr/share", "/usr/share/zoneinfo",
	"/var", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/tmp"}

// always come along where the image has them: what programs need to verify whom
// they talk to.
const bundles = "/etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt"

// addFiles takes over what the containers opened, the directories that they
// wrote to, and what a trial showed to be needed.
func (p *plan) addFiles(t *target, a *app.App) {
	work := path.Clean("/" + p.facts.WorkingDir)
	p.dirs = []string{"/tmp"}
	if work != "/" {
		p.dirs = append(p.dirs, work)
	}
	for _, link := range p.facts.Streams {
		if plain(link) {
			p.dirs = append(p.dirs, link) // nobody is seen to open what it leads to
		}
	}
	for _, c := range t.uses {
		in := inside(a, c)
		for _, d := range slices.Concat(in.Written, p.facts.Volumes) {
			if d = path.Clean(d); d != "/" && !onMount(c, d) && plain(d) {
				p.dirs = append(p.dirs, d)
			}
		}
		for _, d := range in.Kept {
			if path.IsAbs(d) && plain(d) {
				p.whole = append(p.whole, d)
			}
		}
		for _, name := range in.Opened {
			switch {
			case slices.Contains(in.Ran, name) || !plain(name):
			case p.rung == packaged:
				// In an image of files alone, which was tried before, /lib is no link.
				p.addOwn(name, work, in.Packages[name] != "" || in.Packages["/usr"+name] != "")
			default:
				p.addFile(name, work)
			}
		}
	}
	slices.Sort(p.whole)
	p.whole = outermost(p.whole)
	p.files = sortedWithout(p.files, p.whole)
	p.dirs = sortedWithout(p.dirs, p.whole)
	slices.Sort(p.dynamic)
	p.dynamic = slices.Compact(p.dynamic)
}

// addFile takes over one file that was opened, with its directory where that is
// the application's own: what it did not open today it may open tomorrow.
func (p *plan) addFile(name, work string) {
	dir := path.Dir(name)
	switch {
	case loader.MatchString(name):
	case library.MatchString(name):
		// Those that a program is linked with come with it.
		if !libDir.MatchString(dir) && len(p.dynamic) > 0 {
			p.dynamic = append(p.dynamic, quote(portable(name)))
		}
	case strings.HasPrefix(name, "/usr/share/zoneinfo/"):
		p.files = append(p.files, "/etc/localtime")
	case len(p.dynamic) == 0 && (name == "/etc/ld.so.cache" || triplet.MatchString(name)):
	case dir == work || slices.Contains(roots, dir) || libDir.MatchString(dir) || triplet.MatchString(name):
		p.files = append(p.files, quote(portable(name)))
	default:
		p.whole = append(p.whole, dir)
	}
}

// addOwn takes over one file that was opened, beside whole packages: what no
// package owns, with all of the directory that is the application's own, and
// configuration, where nobody tells the application's from a package's.
func (p *plan) addOwn(name, work string, owned bool) {
	dir := path.Dir(name)
	switch {
	case owned && (dir == "/etc" || !strings.HasPrefix(name, "/etc/")):
	case !slices.Contains(roots, work) && strings.HasPrefix(name, work+"/"):
		p.whole = append(p.whole, work)
	case library.MatchString(name) && libDir.MatchString(dir):
		base, _, _ := strings.Cut(path.Base(name), ".so")
		p.files = append(p.files, quote(portable(path.Join(dir, base)))+".so*") // with the links to it
	case slices.Contains(roots, dir) || libDir.MatchString(dir):
		p.files = append(p.files, quote(portable(name)))
	default:
		p.whole = append(p.whole, own(dir))
	}
}

// own gives the directory above dir that lies in one of everybody's.
func own(dir string) string {
	for up := path.Dir(dir); !slices.Contains(roots, up) && !libDir.MatchString(up); up = path.Dir(up) {
		dir = up
	}
	return dir
}

// portable gives a file's name for machines of any kind.
func portable(name string) string { return triplet.ReplaceAllString(name, "/*/") }

// onMount says whether a volume hides the image there.
func onMount(c *app.Container, dir string) bool {
	return slices.ContainsFunc(c.Spec.VolumeMounts, func(m corev1.VolumeMount) bool {
		at := path.Clean(m.MountPath)
		return dir == at || strings.HasPrefix(dir, strings.TrimSuffix(at, "/")+"/")
	})
}

// plain says whether a name can stand in a Dockerfile: COPY reads wildcards and
// variables, and so does a shell.
func plain(name string) bool { return plainName.MatchString(name) }

var plainName = regexp.MustCompile(`^/[A-Za-z0-9_./+:@%,=-]*$`)

// outermost leaves out directories below another of the sorted list.
func outermost(dirs []string) []string {
	var out []string
	for _, d := range dirs {
		if n := len(out); n == 0 || d != out[n-1] && !strings.HasPrefix(d, out[n-1]+"/") {
			out = append(out, d)
		}
	}
	return out
}

// sortedWithout sorts names, each once, without those below one of dirs.
func sortedWithout(names, dirs []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(n string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return n == d || strings.HasPrefix(n, d+"/") })
	})
}

// quote makes a name one word for a shell; the star of portable stays one.
func quote(name string) string {
	if shellPlain.MatchString(name) {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}

var shellPlain = regexp.MustCompile(`^[A-Za-z0-9_./+:@%,*-]+$`)
