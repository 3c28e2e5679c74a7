package minimalimage

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"
)

// complaints are how programs say that a file is missing: with its name, or with
// that of a module or a library. A slash behind a letter or digit begins no name:
// it may stand in a date.
var complaints = []struct {
	line *regexp.Regexp
	file func(name string) []string
}{
	{regexp.MustCompile(`(?:^|[^\w.])(/[^\s'":;,()]+)['":;,)]* .*(?i:no such file or directory|does not exist|not found|is missing)`), asNamed},
	{regexp.MustCompile(`(?i:no such file or directory|does not exist|not found|missing|cannot find|can't open|cannot open|cannot load|ENOENT)[^/]*?[^\w./](/[^\s'":;,()]+)`), asNamed},
	{regexp.MustCompile(`([\w+.-]+\.so[.0-9]*): cannot open shared object file`), func(name string) []string { return []string{name} }},
	{regexp.MustCompile(`No module named '?([A-Za-z_]\w*)`), func(name string) []string { return []string{name, name + ".py", name + ".*.so"} }},
	{regexp.MustCompile(`Can't locate ([\w/]+)\.pm in @INC`), func(name string) []string { return []string{path.Base(name) + ".pm"} }},
	{regexp.MustCompile(`Cannot find module '([a-z@][\w@/.-]*)'`), func(name string) []string { return []string{path.Base(name)} }},
}

func asNamed(name string) []string { return []string{path.Clean(name)} }

// learn notes the files that a workload says are missing.
func learn(a *app.App, workload, log string) {
	var missed []string
	for line := range strings.Lines(log) {
		for _, c := range complaints {
			for _, m := range c.line.FindAllStringSubmatch(line, -1) {
				missed = append(missed, c.file(m[1])...)
			}
		}
	}
	missed = slices.DeleteFunc(missed, func(name string) bool {
		return slices.Contains(roots, name) || path.IsAbs(name) && (!plain(name) || elsewhere.MatchString(name))
	})
	w := a.Workload(workload)
	if w == nil || len(missed) == 0 {
		return
	}
	for c := range w.Containers() {
		if c.Kind == app.Ephemeral {
			continue
		}
		in := a.Seen.Inside(workload, c.Spec.Name)
		in.Missed = append(in.Missed, missed...)
		slices.Sort(in.Missed)
		in.Missed = slices.Compact(in.Missed)
	}
}

// elsewhere are what no image has.
var elsewhere = regexp.MustCompile(`^/(dev|proc|sys|run/secrets|var/run/secrets)(/|$)`)

// addMissed takes over what the image has of what the containers missed: which
// that is shows when it is built.
func (p *plan) addMissed(t *target, a *app.App) {
	var named, anywhere []string
	for _, c := range t.uses {
		for _, name := range inside(a, c).Missed {
			switch {
			case !path.IsAbs(name):
				anywhere = append(anywhere, "-name '"+name+"'")
			case !onMount(c, name):
				named = append(named, quote(portable(name)))
			}
		}
	}
	if named = sortedWithout(named, p.whole); len(named) > 0 {
		p.files = append(p.files, "$(find "+strings.Join(named, " ")+" 2>/dev/null)")
	}
	if len(anywhere) > 0 {
		slices.Sort(anywhere)
		p.files = append(p.files, `$(find $(find /opt /usr \( `+strings.Join(slices.Compact(anywhere), " -o ")+` \)))`)
	}
}
