package minimalimage

import (
	"path"
	"regexp"
	"strings"

	"road/internal/app"
)

// A goBuild is a line of a Dockerfile that builds Go programs.
type goBuild struct {
	line   int    // 1-based
	text   string // the line with a static build
	output string // base name of what -o names, "" for none
	dir    string // WORKDIR of the line, where programs go without -o
}

var (
	goCommand = regexp.MustCompile(`(^|[\s;&|(])go\s+build\b`)
	outputArg = regexp.MustCompile(`\s-o[= ]\s*"?([^\s"';&|)]+)`)
	useCgo    = regexp.MustCompile(`CGO_ENABLED[= ]"?1|-buildmode|-race\b`)
)

// goBuilds finds the Go builds in the Dockerfile that can be made static: those
// that stand as commands in RUN instructions, and do not ask for C themselves.
func (t *target) goBuilds() []goBuild {
	lines := strings.Split(string(t.file.Content), "\n")
	var out []goBuild
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
			if in.Name == "RUN" {
				out = append(out, buildsIn(lines, in, dir, without)...)
			}
		}
	}
	return out
}

// buildsIn gives the builds of one RUN instruction. Options go behind the word
// build, where they hold whatever follows.
func buildsIn(lines []string, in app.Instruction, dir string, without bool) []goBuild {
	var out []goBuild
	without = without || strings.Contains(in.Args, "CGO_ENABLED=0")
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
			before += "CGO_ENABLED=0 "
		}
		if !strings.Contains(in.Args, "-ldflags") {
			command += ` -ldflags "-s -w"`
		}
		b := goBuild{line: n, text: before + command + rest, dir: dir}
		if m := outputArg.FindStringSubmatch(in.Args); m != nil {
			b.output = path.Base(m[1])
		}
		out = append(out, b)
	}
	return out
}

// makes says whether the build makes the program of that name.
func (b goBuild) makes(program string) bool {
	if b.output != "" {
		return path.Base(program) == b.output
	}
	return path.Dir(program) == b.dir
}
