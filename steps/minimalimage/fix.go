package minimalimage

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// What fix calls its stages, and where it collects what the last one gets.
const (
	collection = "/minimal"
	bundle     = "/minimal.tar"
)

// What the lines that fix adds say of themselves.
const (
	scratchComment = "# The image: nothing but that"
	argsComment    = "The kubelet fills in what a shell did"
)

// fix writes a last stage that holds the application alone, for every image of
// which a run showed what that is.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	for _, t := range targets(a) {
		if t.minimal(a) {
			continue
		}
		if p, _ := t.plan(a); p != nil {
			edits = append(edits, t.fixDockerfile(p)...)
			edits = append(edits, t.fixManifests(p)...)
		}
	}
	return edits, nil
}

// fixDockerfile names the stage that was the last, makes its Go builds static,
// and puts two stages behind it.
func (t *target) fixDockerfile(p *plan) []edit.Edit {
	lines := strings.Split(string(t.file.Content), "\n")
	var edits []edit.Edit
	replace := func(line int, text string) {
		edits = append(edits, edit.Edit{File: t.file.File, Lines: &edit.Lines{After: line - 1, Replace: 1, Text: text}})
	}
	build := t.stage.Name
	if build == "" {
		build = t.free("build")
		from := t.stage.Line
		for from < len(lines) && continues(lines[from-1]) {
			from++
		}
		replace(from, strings.TrimRight(lines[from-1], " \t\r")+" AS "+build)
	}
	for _, b := range p.build {
		if b.text != strings.TrimSuffix(lines[b.line-1], "\r") {
			replace(b.line, b.text)
		}
	}
	end := t.stage.EndLine
	text := "\n" + t.stages(p, build)
	if e := t.escape(); e != `\` {
		text = strings.ReplaceAll(text, "\\\n", e+"\n")
	}
	if end < len(lines) && strings.TrimSpace(strings.Join(lines[end:], "")) != "" {
		text += "\n"
	}
	return append(edits, edit.Edit{File: t.file.File, Lines: &edit.Lines{After: end, Text: text}})
}

var escapeDirective = regexp.MustCompile("(?i)^#[ \t]*escape[ \t]*=[ \t]*([\\\\`])[ \t]*\r?$")

// escape gives the sign that continues a line: a directive at the very top may
// name another than the backslash.
func (t *target) escape() string {
	for line := range strings.Lines(string(t.file.Content)) {
		line = strings.TrimSuffix(line, "\n")
		if m := escapeDirective.FindStringSubmatch(line); m != nil {
			return m[1]
		}
		if !strings.HasPrefix(line, "#") || !strings.Contains(line, "=") {
			break
		}
	}
	return `\`
}

// free gives a name that no stage has.
func (t *target) free(name string) string {
	for n := 1; ; n++ {
		try := name
		if n > 1 {
			try += "-" + strconv.Itoa(n)
		}
		if !slices.ContainsFunc(t.file.Stages, func(s *app.Stage) bool { return strings.EqualFold(s.Name, try) }) {
			return try
		}
	}
}

// stages gives the two stages: one that collects, as root, with owners and modes
// as they are, and the image.
func (t *target) stages(p *plan, build string) string {
	files := t.free("minimal")
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%s", p.comment())
	line("FROM %s AS %s", build, files)
	if p.facts.User != "" && p.facts.User != "0" && p.facts.User != "root" {
		line("USER 0")
	}
	line("RUN %s", p.collect())
	line("")
	line("%s", scratchComment)
	line("FROM scratch")
	line("COPY --from=%s %s /", files, collection)
	if p.rung < slimmed {
		for _, d := range p.whole {
			line("COPY --from=%s %s %s", build, d, d)
		}
	}
	for _, l := range t.config(p) {
		line("%s", l)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// wrap joins words by spaces, with a break where a line gets longer than width.
func wrap(words []string, width int, br string) string {
	var b strings.Builder
	n := 0
	for i, w := range words {
		switch {
		case i == 0:
		case n+1+len(w) > width:
			b.WriteString(br)
			n = 0
		default:
			b.WriteByte(' ')
			n++
		}
		b.WriteString(w)
		n += len(w)
	}
	return b.String()
}

// config gives the instructions that say how the image runs, as they held before.
func (t *target) config(p *plan) []string {
	var out []string
	live := t.live(p.facts.Env)
	fixed, fromArgs := p.env(t.escape(), live)
	if len(fixed) > 0 {
		out = append(out, "ENV "+strings.Join(fixed, " "))
	}
	chain := t.file.Chain(t.stage)
	var copied []string
	for _, s := range slices.Backward(chain) {
		for _, in := range s.Instructions {
			switch in.Name {
			case "EXPOSE", "LABEL", "STOPSIGNAL", "VOLUME":
				copied = append(copied, in.Name+" "+strings.ReplaceAll(in.Args, "\n", " "))
			}
		}
	}
	if len(fromArgs) > 0 || strings.Contains(strings.Join(copied, ""), "$") {
		for _, s := range slices.Backward(chain) {
			for _, in := range s.Instructions {
				if in.Name == "ARG" {
					out = append(out, "ARG "+in.Args)
				}
			}
		}
	}
	if len(fromArgs) > 0 {
		out = append(out, "ENV "+strings.Join(fromArgs, " "))
	}
	out = append(out, copied...)
	if w := p.facts.WorkingDir; w != "" && w != "/" {
		out = append(out, "WORKDIR "+w)
	}
	if u := p.user(); u != "" {
		out = append(out, "USER "+u)
	}
	if len(p.entrypoint) > 0 {
		out = append(out, "ENTRYPOINT "+list(p.entrypoint))
	}
	if len(p.cmd) > 0 {
		out = append(out, "CMD "+list(p.cmd))
	}
	return out
}

// usualPath is what every runtime sets where an image says nothing.
const usualPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// forBuilding are variables that only matter while an image is built.
var forBuilding = regexp.MustCompile(`^(DEBIAN_FRONTEND|GO111MODULE|GOARCH|GOCACHE|GOFLAGS|GOLANG_VERSION|GOMODCACHE|GONOSUMDB|GOOS|GOPATH|GOPRIVATE|GOPROXY|GOROOT|GOSUMDB|GOTOOLCHAIN|CGO_[A-Z]+)=`)

// env gives the image's variables that a running application can see the use of:
// those with their value, and those that are live.
func (p *plan) env(escape string, live map[string]string) (out, fromArgs []string) {
	for _, kv := range p.facts.Env {
		if strings.HasPrefix(kv, "PATH=") {
			kv = p.path(kv)
		}
		if kv == "" || kv == usualPath || forBuilding.MatchString(kv) {
			continue
		}
		name, value, _ := strings.Cut(kv, "=")
		if as, ok := live[name]; ok {
			fromArgs = append(fromArgs, name+"="+as)
			continue
		}
		if !envPlain.MatchString(value) {
			value = `"` + strings.NewReplacer(escape, escape+escape, `"`, escape+`"`, `$`, escape+`$`).Replace(value) + `"`
		}
		out = append(out, name+"="+value)
	}
	return out, fromArgs
}

// path leaves the folder of Go's own tools out of PATH where the programs are
// built, and all of it where none is looked up there.
func (p *plan) path(kv string) string {
	if len(p.build) == 0 {
		return kv
	}
	if len(p.dynamic) == 0 && !slices.ContainsFunc(p.programs, func(name string) bool { return !strings.Contains(name, "/") }) {
		return ""
	}
	dirs := slices.DeleteFunc(strings.Split(strings.TrimPrefix(kv, "PATH="), ":"), func(d string) bool { return d == "/usr/local/go/bin" })
	return "PATH=" + strings.Join(dirs, ":")
}

var envPlain = regexp.MustCompile(`^[A-Za-z0-9_./:@%,+=-]+$`)

// user gives the image's user by number where its number is known: without
// /etc/passwd nobody can look a name up.
func (p *plan) user() string {
	name, group, hasGroup := strings.Cut(p.facts.User, ":")
	for _, acc := range p.facts.Accounts {
		if acc.Name != name {
			continue
		}
		if acc.UID == 0 && !hasGroup {
			return ""
		}
		name = strconv.Itoa(acc.UID)
		if !hasGroup && acc.GID != 0 {
			name += ":" + strconv.Itoa(acc.GID)
		}
	}
	if hasGroup {
		return name + ":" + group
	}
	if name == "0" {
		return ""
	}
	return name
}

// list gives words in the exec form, which needs no shell.
func list(words []string) string {
	var out []string
	for _, w := range words {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.Encode(w) // a string: cannot fail
		out = append(out, strings.TrimSuffix(b.String(), "\n"))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// fixManifests has the pods start the program itself where a shell did.
func (t *target) fixManifests(p *plan) []edit.Edit {
	var edits []edit.Edit
	set := func(c *app.Container, key string, words []string) {
		var value any
		if words != nil {
			var l []any
			for _, w := range words {
				l = append(l, w)
			}
			value = l
		}
		edits = append(edits, edit.Edit{File: c.Workload.File, Set: &edit.Set{Doc: c.Workload.Doc, Path: c.Path.Join(key), Value: value, Before: "env"}})
		if key == "args" && words != nil {
			edits[len(edits)-1].Set.Comment = argsComment
		}
	}
	for _, c := range t.uses {
		if argv := p.command[c]; argv != nil {
			set(c, "command", argv)
			if len(c.Spec.Args) > 0 {
				set(c, "args", nil)
			}
		}
		if argv := p.args[c]; argv != nil {
			set(c, "args", argv)
		}
	}
	return edits
}
