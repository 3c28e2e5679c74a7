package minimalimage

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A word is one argument of a command line, in pieces.
type word []piece

// A piece is text, or a variable that a shell would fill in.
type piece struct {
	text     string
	name     string // of a variable; "" for text
	quoted   bool   // the variable stands in double quotes, so its value stays one word
	fallback bool   // ${NAME:-text}
}

// shellNames are the programs whose -c is a line of a shell.
var shellNames = []string{"sh", "bash", "dash", "ash"}

// shellLine gives the line of a command such as sh -c LINE, false where it is
// none.
func shellLine(argv []string) (string, bool) {
	if len(argv) != 3 || !slices.Contains(shellNames, path.Base(argv[0])) || argv[1] != "-c" {
		return "", false
	}
	return argv[2], true
}

var variable = regexp.MustCompile(`^\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-?])([^}$"'\x60\\]*))?\})`)

// splitLine reads a line that only starts one program: words, quotes and
// variables. Anything else a shell can do is an error that names it.
func splitLine(line string) ([]word, error) {
	var out []word
	var cur word
	inWord, double := false, false
	text := func(s string) {
		inWord = true
		if n := len(cur); n > 0 && cur[n-1].name == "" {
			cur[n-1].text += s
		} else {
			cur = append(cur, piece{text: s})
		}
	}
	end := func() {
		if inWord {
			out = append(out, cur)
		}
		cur, inWord = nil, false
	}
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line) && (!double || strings.IndexByte("\"\\$`", line[i+1]) >= 0):
			i++
			text(line[i : i+1])
		case c == '"':
			double, inWord = !double, true
		case c == '\'' && !double:
			closing := strings.IndexByte(line[i+1:], '\'')
			if closing < 0 {
				return nil, fmt.Errorf("a quote that does not end")
			}
			text(line[i+1 : i+1+closing])
			i += closing + 1
		case c == '$':
			m := variable.FindStringSubmatch(line[i:])
			if m == nil {
				return nil, fmt.Errorf("a shell expands %.20q", line[i:])
			}
			cur = append(cur, piece{name: m[1] + m[2], quoted: double, fallback: strings.HasSuffix(m[3], "-"), text: m[4]})
			inWord = true
			i += len(m[0]) - 1
		case double:
			if c == '`' {
				return nil, fmt.Errorf("a shell runs what stands in backquotes")
			}
			text(line[i : i+1])
		case c == ' ' || c == '\t':
			end()
		case strings.IndexByte(";&|<>()`*?[]{}~#!\n", c) >= 0:
			return nil, fmt.Errorf("a shell does something with %q", c)
		default:
			text(line[i : i+1])
		}
	}
	if double {
		return nil, fmt.Errorf("a quote that does not end")
	}
	end()
	return program(out)
}

// program leaves out the word exec in front of a program, and refuses a line that
// sets variables first or runs what only a shell has.
func program(words []word) ([]word, error) {
	if len(words) > 1 && len(words[0]) == 1 && words[0][0] == (piece{text: "exec"}) {
		words = words[1:]
	}
	if len(words) == 0 || len(words[0]) != 1 || words[0][0].name != "" {
		return nil, fmt.Errorf("it names no program")
	}
	first := words[0][0].text
	if strings.Contains(first, "=") || slices.Contains(builtins, first) {
		return nil, fmt.Errorf("a shell is needed for %q", first)
	}
	return words, nil
}

// builtins are words that are no program, or another one, outside a shell.
var builtins = []string{".", ":", "cd", "eval", "exec", "exit", "export", "for", "if", "set", "source", "test", "trap", "ulimit", "umask", "unset", "while", "wait"}
