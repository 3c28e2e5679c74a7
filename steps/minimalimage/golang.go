package minimalimage

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"
)

// A goBuild is a line of a Dockerfile that builds Go programs.
type goBuild struct {
	line   int    // 1-based
	text   string // the line with a static build
	output string // base name of what -o names, "" for none
	dir    string // WORKDIR of the line, where programs go without -o
	forced bool   // nothing but road says that it does without C
}

var (
	goCommand = regexp.MustCompile(`(^|[\s;&|(])go\s+build\b`)
	outputArg = regexp.MustCompile(`\s-o[= ]\s*"?([^\s"';&|)]+)`)
	flagsSet  = regexp.MustCompile(`GOFLAGS.*-ldflags`)
	compiler  = regexp.MustCompile(`\b(apt|apt-get|apk|dnf|yum|microdnf|zypper)\b.*\s(gcc|g\+\+|clang|build-base|build-essential|musl-dev|libc6-dev|glibc-devel)(\s|$)`)
	useCgo    = regexp.MustCompile(`CGO_ENABLED[= ]"?1|-buildmode|-race\b`)
)

// goBuilds finds the Go builds in the Dockerfile that can be made static: those
// that stand as commands in RUN instructions, and do not ask for C themselves.
func (t *target) goBuilds() []goBuild {
	lines := strings.Split(string(t.file.Content), "\n")
	var out []goBuild
	c, flags := false, false
	for _, s := range t.file.Stages {
		dir, without := "/", false
		for _, in := range s.Instructions {
			switch in.Name {
			case "WORKDIR":
				dir = path.Join(dir, in.Args)
				if path.IsAbs(in.Args) {
					dir = path.Clean(in.Args)
				}
			case "ENV", "ARG":
				without = without || strings.Contains(in.Args, "CGO_ENABLED=0")
			}
			if useCgo.MatchString(in.Args) {
				return nil
			}
			flags = flags || flagsSet.MatchString(in.Args)
			if in.Name == "RUN" {
				c = c || compiler.MatchString(in.Args)
				out = append(out, buildsIn(lines, in, goEnv{dir, without, flags})...)
			}
		}
	}
	if c && slices.ContainsFunc(out, func(b goBuild) bool { return b.forced }) {
		return nil // who installs a C compiler may mean it for the Go program
	}
	return out
}

// A goEnv is what the instructions before a build say of it.
type goEnv struct {
	dir     string // WORKDIR
	without bool   // CGO_ENABLED=0 is said already
	flags   bool   // GOFLAGS has -ldflags, which those of the command would replace
}

// buildsIn gives the builds of one RUN instruction. Options go behind the word
// build, where they hold whatever follows.
func buildsIn(lines []string, in app.Instruction, env goEnv) []goBuild {
	var out []goBuild
	without := env.without || strings.Contains(in.Args, "CGO_ENABLED=0")
	for n := in.Line; n <= in.EndLine && n <= len(lines); n++ {
		text := strings.TrimSuffix(lines[n-1], "\r")
		if strings.HasPrefix(strings.TrimSpace(text), "#") || len(goCommand.FindAllStringIndex(text, -1)) != 1 {
			continue
		}
		at := goCommand.FindStringSubmatchIndex(text)
		before, command, rest := text[:at[3]], text[at[3]:at[1]], text[at[1]:]
		if strings.Count(before, `"`)%2 == 1 || strings.Count(before, `'`)%2 == 1 {
			continue // inside a string, for another shell
		}
		if !without {
			if !startsCommand(lines, in, n, before) {
				before += "env " // behind time, nice or xargs, only that sets a variable
			}
			before += "CGO_ENABLED=0 "
		}
		if !env.flags && !strings.Contains(in.Args, "-ldflags") {
			command += ` -ldflags "-s -w"`
		}
		b := goBuild{line: n, text: before + command + rest, dir: env.dir, forced: !without}
		if m := outputArg.FindStringSubmatch(in.Args); m != nil {
			b.output = path.Base(m[1])
		}
		out = append(out, b)
	}
	return out
}

var (
	runPrefix = regexp.MustCompile(`^\s*(?i:RUN)(\s+--\S+)*\s`)
	separator = regexp.MustCompile(`[;&|(]`)
	setsFirst = regexp.MustCompile(`^(env|then|else|do|!|[A-Za-z_]\w*=[^\s"']*)$`)
)

// startsCommand says whether a command begins behind before, which stands on
// line n of the instruction: there a shell takes NAME=value in front.
func startsCommand(lines []string, in app.Instruction, n int, before string) bool {
	for n--; n >= in.Line; n-- {
		line := strings.TrimRight(lines[n-1], " \t\r")
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if !continues(line) {
			break
		}
		before = line[:len(line)-1] + " " + before
	}
	before = runPrefix.ReplaceAllString(before, "")
	if at := separator.FindAllStringIndex(before, -1); at != nil {
		before = before[at[len(at)-1][1]:]
	}
	return !slices.ContainsFunc(strings.Fields(before), func(w string) bool { return !setsFirst.MatchString(w) })
}

// makes says whether the build makes the program of that name.
func (b goBuild) makes(program string) bool {
	if b.output != "" {
		return path.Base(program) == b.output
	}
	return path.Dir(program) == b.dir
}
