package app

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"
	"strings"
)

// A StartAct is an instruction, ENTRYPOINT or CMD, that goes on as another user by
// itself, without a script.
type StartAct struct {
	Instruction *Instruction
	User        string // as it stands there: "www-data", "app:app"
	Text        string // the instruction without it
}

// StartActs finds what stage, and those of the same file that it starts from, do as
// root to become somebody else before the program begins. What takes more than one
// line is left to its owner.
func (d *Dockerfile) StartActs(stage *Stage) []StartAct {
	lines := bytes.Split(d.Content, []byte("\n"))
	var out []StartAct
	for _, s := range d.Chain(stage) {
		for i := range s.Instructions {
			in := &s.Instructions[i]
			if in.Name != "ENTRYPOINT" && in.Name != "CMD" || in.Line != in.EndLine || in.Line > len(lines) {
				continue
			}
			line := strings.TrimRight(string(lines[in.Line-1]), "\r")
			at := strings.Index(line, in.Args)
			if at < 0 {
				continue
			}
			user, rest := withoutDrop(in.Args)
			if user != "" {
				out = append(out, StartAct{in, user, line[:at] + rest})
			}
		}
	}
	return out
}

// withoutDrop reads the words of ENTRYPOINT or CMD, in either form: the user that
// they go on as, and the words without that; no user where they do no such thing.
func withoutDrop(args string) (user, rest string) {
	words, starts := jsonWords(args)
	if words == nil {
		s := &Script{Content: []byte(args)}
		acts := s.RootActs()
		if len(acts) != 1 || !acts[0].Drop {
			return "", ""
		}
		return acts[0].User, s.WithoutRoot(acts)[1]
	}
	i := slices.Index(words, "--") + 1 // behind an init, such as tini
	if i == len(words) || droppers[path.Base(words[0])] != nil {
		i = 0
	}
	drop := droppers[path.Base(words[i])]
	if drop == nil {
		return "", ""
	}
	user, from, instead := drop(words[i:])
	if user == "" || instead != "" || i+from >= len(words) {
		return "", ""
	}
	return user, args[:starts[i]] + args[starts[i+from]:]
}

// jsonWords gives the words of the form that needs no shell, and where each begins;
// none for the other form.
func jsonWords(args string) (words []string, starts []int) {
	if json.Unmarshal([]byte(args), &words) != nil || len(words) == 0 {
		return nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(args))
	for {
		end := int(dec.InputOffset())
		t, err := dec.Token()
		if err != nil {
			return words, starts
		}
		if _, ok := t.(string); ok {
			starts = append(starts, end+strings.IndexByte(args[end:], '"'))
		}
	}
}
