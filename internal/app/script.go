package app

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A Script is a shell script of PATH that an image's ENTRYPOINT or CMD names.
type Script struct {
	File    string // slash-separated, relative to App.Root
	Content []byte
}

// scriptLimit is the size in bytes above which a file is no entry point.
const scriptLimit = 1 << 20

var startLine = regexp.MustCompile(`(?im)^[ \t]*(?:ENTRYPOINT|CMD)[ \t](.*)$`)

// startNames gives the base names of the words behind ENTRYPOINT and CMD.
func startNames(text []byte) []string {
	var out []string
	for _, m := range startLine.FindAllSubmatch(text, -1) {
		for _, w := range bytes.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune("[]\"',;&| \t\r", r) }) {
			if b := path.Base(string(w)); !slices.Contains(out, b) && !strings.HasPrefix(b, "-") && b != "." && b != "/" {
				out = append(out, b)
			}
		}
	}
	return out
}

// ParseScript says what is wrong with a shell script, nil for nothing.
func ParseScript(name string, content []byte) error {
	_, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(content), name)
	return err
}

// IsScript says whether a file's first line names a shell.
func IsScript(content []byte) bool {
	first, _, _ := bytes.Cut(content, []byte("\n"))
	return len(content) <= scriptLimit && shebang.Match(first)
}

var shebang = regexp.MustCompile(`^#!.*\b(ba|da|a|k|z)?sh\b`)

// Scripts gives the scripts in a build's context that its image starts with.
func (a *App) Scripts(b *Build) []*Script {
	names := startNames(b.Dockerfile.Content)
	var out []*Script
	for file, content := range a.scripts {
		if slices.Contains(names, path.Base(file)) && (b.Context == "." || strings.HasPrefix(file, b.Context+"/")) {
			out = append(out, &Script{file, content})
		}
	}
	slices.SortFunc(out, func(x, y *Script) int { return strings.Compare(x.File, y.File) })
	return out
}

// A RootAct is a command of a script that only root can do, or that gives root
// away.
type RootAct struct {
	Line    int    // 1-based, of its first word
	Drop    bool   // it goes on as another user, so that everything before it is root's; else it changes owners
	User    string // to whom: "www-data", "app:app", "$USER"
	Guarded bool   // it stands where only root comes by
	from    int    // bytes of the script that are to go
	to      int
	instead string
}

// RootActs finds what a script does as root to become somebody else: gosu,
// su-exec, setpriv, runuser, su, chroot --userspec, setuidgid, chpst and sudo, and
// chown and chgrp. A script that cannot be parsed has none.
func (s *Script) RootActs() []RootAct {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(s.Content), s.File)
	if err != nil {
		return nil
	}
	f := &actFinder{text: s.Content}
	f.walk(file, false)
	return f.acts
}

// WithoutRoot gives the lines of a script that have to change for acts not to be
// done: what only gives root away goes, and owners are not changed. Each has the
// line that it replaces, 1-based.
func (s *Script) WithoutRoot(acts []RootAct) map[int]string {
	out := map[int]string{}
	ordered := slices.Clone(acts)
	slices.SortFunc(ordered, func(x, y RootAct) int { return y.from - x.from })
	text := string(s.Content)
	changed := map[int]bool{}
	for _, a := range ordered {
		if strings.Contains(text[a.from:a.to], "\n") {
			return nil // over several lines: left to its owner
		}
		text = text[:a.from] + a.instead + text[a.to:]
		changed[a.Line] = true
	}
	lines := strings.Split(text, "\n")
	for line := range changed {
		out[line] = lines[line-1]
	}
	if _, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), s.File); err != nil {
		return nil
	}
	return out
}

// An actFinder collects the acts of a script.
type actFinder struct {
	text []byte
	acts []RootAct
	left bool // whoever is not root has left the script
}

var (
	asksUser = regexp.MustCompile(`\bid\s+-u\b|\bwhoami\b|\bE?UID\b`)
	isRoot   = regexp.MustCompile(`(-eq|[^!=]==?)\s*["']?(0|root)\b`)
	notRoot  = regexp.MustCompile(`(-ne|-gt|!=)\s*["']?(0|root)\b`)
)

// walk looks at every command below n; guarded says that only root comes by.
func (f *actFinder) walk(n syntax.Node, guarded bool) {
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.IfClause:
			f.branches(n, guarded)
			return false
		case *syntax.BinaryCmd:
			asks := f.of(n.X)
			inRoot := n.Op == syntax.AndStmt && asksUser.MatchString(asks) && isRoot.MatchString(asks) ||
				n.Op == syntax.OrStmt && asksUser.MatchString(asks) && notRoot.MatchString(asks)
			f.walk(n.X, guarded)
			f.walk(n.Y, guarded || inRoot)
			return false
		case *syntax.CallExpr:
			f.call(n, guarded)
		}
		return true
	})
}

// branches walks an if with its elifs and its else.
func (f *actFinder) branches(n *syntax.IfClause, guarded bool) {
	asks := ""
	if len(n.Cond) > 0 {
		asks = string(f.text[n.Cond[0].Pos().Offset():n.Cond[len(n.Cond)-1].End().Offset()])
	}
	user := asksUser.MatchString(asks)
	for _, s := range n.Cond {
		f.walk(s, guarded)
	}
	for _, s := range n.Then {
		f.walk(s, guarded || user && isRoot.MatchString(asks))
	}
	if n.Else != nil && len(n.Else.Cond) == 0 {
		for _, s := range n.Else.Then {
			f.walk(s, guarded || user && notRoot.MatchString(asks))
		}
	} else if n.Else != nil {
		f.branches(n.Else, guarded)
	}
	if user && notRoot.MatchString(asks) && n.Else == nil && leaves(n.Then) {
		f.left = true
	}
}

// leaves says whether a list of commands ends the script.
func leaves(list []*syntax.Stmt) bool {
	if len(list) == 0 {
		return false
	}
	c, ok := list[len(list)-1].Cmd.(*syntax.CallExpr)
	return ok && len(c.Args) > 0 && (c.Args[0].Lit() == "exec" || c.Args[0].Lit() == "exit")
}

func (f *actFinder) of(n syntax.Node) string {
	return string(f.text[n.Pos().Offset():n.End().Offset()])
}

// call looks at one command.
func (f *actFinder) call(c *syntax.CallExpr, guarded bool) {
	words := c.Args
	if len(words) > 0 && words[0].Lit() == "exec" {
		words = words[1:]
	}
	if len(words) == 0 {
		return
	}
	act := RootAct{Line: int(words[0].Pos().Line()), Guarded: guarded || f.left, from: int(words[0].Pos().Offset())}
	program := path.Base(words[0].Lit())
	if program == "chown" || program == "chgrp" {
		act.to, act.instead = act.from, ": "
		if len(words) > 1 && program == "chown" {
			for _, w := range words[1:] {
				if text := f.of(w); !strings.HasPrefix(text, "-") {
					act.User = text
					break
				}
			}
		}
		f.acts = append(f.acts, act)
		return
	}
	dropper, ok := droppers[program]
	if !ok {
		return
	}
	text := make([]string, len(words))
	for i, w := range words {
		text[i] = f.of(w)
	}
	user, rest, instead := dropper(text)
	if user == "" || rest >= len(words) && instead == "" {
		return
	}
	act.Drop, act.User, act.instead = true, strings.Trim(user, `"'`), instead
	if act.to = int(words[len(words)-1].End().Offset()); rest < len(words) {
		act.to = int(words[rest].Pos().Offset())
	}
	f.acts = append(f.acts, act)
}

// droppers are the programs that go on as another user. Each gives the user, the
// place of the first word that stays, and what comes before it; no user where it
// does not understand its words.
var droppers = map[string]func(words []string) (user string, rest int, instead string){
	"gosu": first, "su-exec": first, "setuidgid": first, "s6-setuidgid": first,
	"setpriv": func(w []string) (string, int, string) {
		user, rest := options(w, []string{"--reuid"}, []string{"--regid", "--groups", "--inh-caps", "--ambient-caps", "--bounding-set", "--securebits", "--pdeathsig", "--selinux-label", "--apparmor-profile"})
		return user, rest, ""
	},
	"chpst": func(w []string) (string, int, string) {
		user, rest := options(w, []string{"-u", "-U"}, []string{"-b", "-/", "-n", "-l", "-L", "-m", "-d", "-o", "-p", "-f", "-c", "-r", "-t", "-e"})
		return user, rest, ""
	},
	"sudo": func(w []string) (string, int, string) {
		user, rest := options(w, []string{"-u", "--user"}, []string{"-g", "--group", "-C", "-D", "-h", "-p", "-r", "-t", "-T", "-U"})
		return user, rest, ""
	},
	"chroot": func(w []string) (string, int, string) {
		user, rest := options(w, []string{"--userspec"}, []string{"--groups"})
		if rest < len(w) && w[rest] == "/" {
			return user, rest + 1, ""
		}
		return "", 0, ""
	},
	"su": shellOf, "runuser": shellOf,
}

// first reads PROGRAM USER COMMAND.
func first(w []string) (string, int, string) {
	if len(w) < 3 || strings.HasPrefix(w[1], "-") {
		return "", 0, ""
	}
	return w[1], 2, ""
}

// options reads PROGRAM OPTIONS COMMAND: the value of one of user, and the place of
// the command. Options in other have a value behind them too.
func options(w []string, user, other []string) (string, int) {
	found := ""
	for i := 1; i < len(w); i++ {
		name, value, inline := strings.Cut(w[i], "=")
		switch {
		case w[i] == "--":
			return found, i + 1
		case !strings.HasPrefix(name, "-"):
			return found, i
		case slices.Contains(user, name) && inline:
			found = value
		case slices.Contains(user, name) && i+1 < len(w):
			i++
			found = w[i]
		case slices.Contains(other, name) && !inline:
			i++
		}
	}
	return found, len(w)
}

// shellOf reads su and runuser: OPTIONS USER -c 'COMMAND' ARGUMENTS, the user also
// behind the command, and runuser -u USER -- COMMAND. Only the shell and its words
// stay.
func shellOf(w []string) (string, int, string) {
	if user, rest := options(w, []string{"-u", "--user"}, []string{"-g", "-G", "--group", "--supp-group"}); user != "" {
		return user, rest, ""
	}
	shell, user, command, i := "/bin/sh", "", "", 1
	for ; i < len(w) && (user == "" || command == ""); i++ {
		name, value, inline := strings.Cut(w[i], "=")
		into := map[string]*string{"-s": &shell, "--shell": &shell, "-c": &command, "--command": &command}[name]
		switch {
		case into != nil && inline:
			*into = value
		case into != nil && i+1 < len(w):
			i++
			*into = w[i]
		case strings.HasPrefix(w[i], "-"):
		case user == "":
			user = w[i]
		default:
			return "", 0, ""
		}
	}
	if user == "" || command == "" {
		return "", 0, "" // the words behind are the shell's own, as they may be
	}
	if i < len(w) && w[i] == "--" {
		i++
	}
	instead := shell + " -c " + command
	if i < len(w) {
		instead += " "
	}
	return user, i, instead
}
