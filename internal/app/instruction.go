package app

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// ParseDockerfile reads a Dockerfile with BuildKit's own parser. The error is a
// Problem with the line of the fault.
func ParseDockerfile(name string, content []byte) (d *Dockerfile, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = Problem{Pos: Pos{File: name}, Message: fmt.Sprintf("not a Dockerfile: %v", r)}
		}
	}()
	tree, err := parser.Parse(bytes.NewReader(content))
	if err != nil {
		return nil, dockerfileProblem(name, err)
	}
	stages, global, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		return nil, dockerfileProblem(name, err)
	}
	d = &Dockerfile{File: name, Content: content}
	lines := strings.Split(string(content), "\n")
	lex := shell.NewLex(tree.EscapeToken)
	lex.SkipUnsetEnv = true
	env := globalArgs(lex, global)
	for _, n := range tree.AST.Children {
		in := instruction(n, lines, tree.EscapeToken)
		if in.Name == "FROM" {
			s := stages[len(d.Stages)]
			base, _, err := lex.ProcessWord(s.BaseName, shell.EnvsFromSlice(env))
			if err != nil {
				base = s.BaseName
			}
			d.Stages = append(d.Stages, &Stage{Name: s.Name, Base: base, Line: in.Line, EndLine: in.EndLine})
		} else if len(d.Stages) > 0 {
			s := d.Stages[len(d.Stages)-1]
			s.Instructions, s.EndLine = append(s.Instructions, in), in.EndLine
		}
	}
	if len(d.Stages) == 0 {
		return nil, Problem{Pos: Pos{File: name, Line: 1}, Message: "a Dockerfile without FROM", Hint: "begin it with FROM and an image"}
	}
	return d, nil
}

// globalArgs gives what the ARGs in front of the first FROM come to.
func globalArgs(lex *shell.Lex, args []instructions.ArgCommand) (env []string) {
	for _, a := range args {
		for _, kv := range a.Args {
			if kv.Value == nil {
				continue
			}
			v, _, err := lex.ProcessWord(*kv.Value, shell.EnvsFromSlice(env))
			if err != nil {
				v = *kv.Value
			}
			env = append(env, kv.Key+"="+v)
		}
	}
	return env
}

// instruction joins the lines of one instruction as the parser does, but with
// one space where a line was continued.
func instruction(n *parser.Node, lines []string, escape rune) Instruction {
	in := Instruction{Name: strings.ToUpper(n.Value), Line: n.StartLine, EndLine: n.EndLine}
	continued := regexp.MustCompile(`(^|[^` + regexp.QuoteMeta(string(escape)) + `])` + regexp.QuoteMeta(string(escape)) + `[ \t]*$`)
	var parts []string
	i := n.StartLine - 1
	for ; i < n.EndLine && i < len(lines); i++ {
		l := strings.TrimSpace(strings.TrimPrefix(lines[i], "\ufeff"))
		if len(parts) > 0 && (l == "" || strings.HasPrefix(l, "#")) {
			continue
		}
		at := continued.FindStringIndex(l)
		if at == nil {
			parts = append(parts, l)
			break
		}
		l = strings.TrimSpace(strings.TrimRight(l, " \t")[:len(strings.TrimRight(l, " \t"))-len(string(escape))])
		parts = append(parts, l)
	}
	joined := strings.Join(parts, " ")
	if len(joined) >= len(n.Value) {
		in.Args = strings.TrimSpace(joined[len(n.Value):])
	}
	for i++; len(n.Heredocs) > 0 && i < n.EndLine && i < len(lines); i++ {
		in.Args += "\n" + strings.TrimSuffix(lines[i], "\r")
	}
	return in
}

var onLine = regexp.MustCompile(`^dockerfile parse error on line (\d+): `)

// dockerfileProblem takes the line out of an error of BuildKit's parser.
func dockerfileProblem(name string, err error) Problem {
	p := Problem{Pos: Pos{File: name}, Hint: "docker build refuses it too"}
	msg := err.Error()
	var at *parser.LocationError
	if errors.As(err, &at) && len(at.Locations) > 0 && len(at.Locations[0]) > 0 {
		p.Line = at.Locations[0][0].Start.Line
	}
	if m := onLine.FindStringSubmatch(msg); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	p.Message = "not a Dockerfile: " + msg
	return p
}
