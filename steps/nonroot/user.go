package nonroot

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"road/internal/app"
)

// A userKind says what is known of the user that an image runs as.
type userKind int

const (
	unknownUser userKind = iota // the image comes from elsewhere and was never looked at
	missingUser                 // the Dockerfile names none, and its base none as far as is known
	rootUser                    // 0 or root
	numericUser                 // a number above 0
	namedUser                   // a name whose number is known
	unclearUser                 // a name or variable whose number only a look at the image tells
)

// A user is who an image runs as.
type user struct {
	kind     userKind
	text     string           // as written: "app:web"
	uid      int64            // above 0 for numericUser and namedUser
	gid      int64            // -1 where it is not known
	hasGroup bool             // the text names a group, which the kubelet drops
	line     int              // of the USER instruction, else of the final stage's FROM
	own      *app.Instruction // the USER instruction of the final stage; nil where it is inherited
}

// userOf finds who img runs as: by its Dockerfile, else by what a look at the
// image showed.
func userOf(a *app.App, img *app.Image) user {
	facts, seen := a.Seen.Images[img.Ref]
	if img.Build == nil {
		if !seen {
			return user{kind: unknownUser, gid: -1}
		}
		return parseUser(facts.User, accountsOf(a, img))
	}
	stage := img.Build.Dockerfile.Final(img.Build.Target)
	if stage == nil || windowsBase.MatchString(stage.Base) {
		return user{kind: unknownUser, gid: -1}
	}
	at, in := lastUser(img.Build.Dockerfile, stage)
	if in == nil {
		u := parseUser(facts.User, accountsOf(a, img))
		if u.kind == rootUser {
			u.kind = missingUser
		}
		u.line = stage.Line
		return u
	}
	text, complete := expand(img.Build, at, in.Args)
	if !complete && seen {
		text, complete = facts.User, true
	}
	u := parseUser(text, accountsOf(a, img))
	if !complete {
		u = user{kind: unclearUser, text: in.Args, gid: -1}
	}
	u.line = stage.Line
	if at == stage {
		u.line, u.own = in.Line, in
	}
	return u
}

// windowsBase are bases whose users have no numbers.
var windowsBase = regexp.MustCompile(`nanoserver|servercore|(^|/)windows(/|:|$)`)

// lastUser finds the USER instruction that holds at the end of stage, its own or
// that of the stage it starts from.
func lastUser(d *app.Dockerfile, stage *app.Stage) (*app.Stage, *app.Instruction) {
	for _, s := range chain(d, stage) {
		if in := s.Last("USER"); in != nil {
			return s, in
		}
	}
	return nil, nil
}

// chain gives stage and the stages of the same Dockerfile that it starts from.
func chain(d *app.Dockerfile, stage *app.Stage) []*app.Stage {
	var out []*app.Stage
	for stage != nil && !slices.Contains(out, stage) {
		out = append(out, stage)
		base := stage.Base
		stage = nil
		for _, s := range d.Stages {
			if s == out[len(out)-1] {
				break // a stage can only start from one before it
			}
			if s.Name != "" && strings.EqualFold(s.Name, base) {
				stage = s
			}
		}
	}
	return out
}

// parseUser reads the value of USER.
func parseUser(text string, known accounts) user {
	u := user{text: text, gid: -1}
	name, group, hasGroup := strings.Cut(strings.Trim(strings.TrimSpace(text), `"'`), ":")
	u.hasGroup = hasGroup && group != ""
	if n, err := strconv.ParseUint(name, 10, 31); err == nil {
		u.kind, u.uid = numericUser, int64(n)
		if acc := known.byUID(int(n)); acc != nil {
			u.gid = int64(acc.GID)
		}
	} else if acc := known.byName(name); acc != nil {
		u.kind, u.uid, u.gid = namedUser, int64(acc.UID), int64(acc.GID)
	} else {
		u.kind = unclearUser
	}
	if name == "" || name == "root" || u.kind != unclearUser && u.uid == 0 {
		return user{kind: rootUser, text: text, gid: -1}
	}
	if u.hasGroup {
		if n, err := strconv.ParseUint(group, 10, 31); err == nil {
			u.gid = int64(n)
		} else if gid, ok := known.group(group); ok {
			u.gid = int64(gid)
		}
	}
	return u
}

// accounts are those that an image has, as far as is known.
type accounts struct {
	list   []app.Account
	groups map[string]int
}

func (k accounts) byName(name string) *app.Account {
	for i := range k.list {
		if k.list[i].Name == name {
			return &k.list[i]
		}
	}
	return nil
}

func (k accounts) byUID(uid int) *app.Account {
	for i := range k.list {
		if k.list[i].UID == uid {
			return &k.list[i]
		}
	}
	return nil
}

// group finds a group by name. Where /etc/group is not known, an account of the
// same name tells: useradd gives each user a group of its own name.
func (k accounts) group(name string) (int, bool) {
	if gid, ok := k.groups[name]; ok {
		return gid, true
	}
	if acc := k.byName(name); acc != nil {
		return acc.GID, true
	}
	return 0, false
}

// accountsOf gives the accounts of img: those that a look at the image showed,
// and those that its Dockerfile makes with a number.
func accountsOf(a *app.App, img *app.Image) accounts {
	k := accounts{list: slices.Clone(a.Seen.Images[img.Ref].Accounts), groups: map[string]int{}}
	if img.Build == nil {
		return k
	}
	for _, s := range img.Build.Dockerfile.Stages {
		made := made(img.Build, s)
		for name, gid := range made.groups {
			k.groups[name] = gid
		}
		for _, acc := range made.list {
			if k.byName(acc.Name) == nil {
				k.list = append(k.list, acc)
			}
		}
	}
	return k
}

// made gives the accounts and groups that the RUN instructions of a stage make
// with useradd, adduser, groupadd or addgroup and a number.
func made(b *app.Build, s *app.Stage) accounts {
	k := accounts{groups: map[string]int{}}
	for i := range s.Instructions {
		if in := &s.Instructions[i]; in.Name == "RUN" {
			text, _ := expand(b, s, in.Args)
			for _, command := range commands(text) {
				k.run(command)
			}
		}
	}
	return k
}

// takesValue are the options of the four programs that have a value behind them,
// shadow's, Debian's and BusyBox' spelling together.
var takesValue = regexp.MustCompile(`^(-[ugGdscbefkKpZRh]|--(uid|gid|groups|home-dir|home|shell|comment|base-dir|gecos|ingroup|skel|password|expiredate|inactive|key|root))$`)

// run adds what one command makes.
func (k *accounts) run(words []string) {
	i := slices.IndexFunc(words, func(w string) bool {
		switch w[strings.LastIndexByte(w, '/')+1:] {
		case "useradd", "adduser", "groupadd", "addgroup":
			return true
		}
		return false
	})
	if i < 0 {
		return
	}
	group := strings.Contains(words[i], "group")
	uid, gid, home, names := -1, "", "", []string(nil)
	for rest := words[i+1:]; len(rest) > 0; rest = rest[1:] {
		option, value, inline := strings.Cut(rest[0], "=")
		if !strings.HasPrefix(option, "-") {
			names = append(names, rest[0])
			continue
		}
		if !inline && takesValue.MatchString(option) && len(rest) > 1 {
			rest = rest[1:]
			value = rest[0]
		}
		switch option {
		case "-u", "--uid":
			uid = number(value)
		case "-g", "--gid", "--ingroup", "-G":
			if gid == "" || option != "-G" {
				gid = value
			}
		case "-d", "--home-dir", "--home", "-h":
			home = value
		}
	}
	if len(names) == 0 {
		return
	}
	if group {
		if n := number(gid); n >= 0 {
			k.groups[names[0]] = n
		}
	} else if uid > 0 {
		acc := app.Account{Name: names[0], UID: uid, GID: uid, Home: home}
		if n := number(gid); n >= 0 {
			acc.GID = n
		} else if n, ok := k.groups[gid]; ok {
			acc.GID = n
		}
		k.list = append(k.list, acc)
	}
}

// number reads a number of a user or group, -1 where it is none.
func number(s string) int {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return -1
	}
	return int(n)
}

// commands splits a shell line into its commands and those into words. It knows
// quotes and the signs between commands, which is all that is asked of it.
func commands(line string) [][]string {
	var out [][]string
	var words []string
	var word strings.Builder
	inWord, quote := false, rune(0)
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	endCommand := func() {
		if endWord(); len(words) > 0 {
			out = append(out, words)
		}
		words = nil
	}
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			endWord()
		case strings.ContainsRune("&|;\n(){}", r):
			endCommand()
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	endCommand()
	return out
}

var variable = regexp.MustCompile(`\$(\w+|\{(\w+)(:?-([^}]*))?\})`)

// expand fills in the variables of text as they stand at the end of stage s. The
// second value is false where one of them has no value in the Dockerfile.
func expand(b *app.Build, s *app.Stage, text string) (string, bool) {
	if !strings.Contains(text, "$") {
		return text, true
	}
	values, complete := variables(b, s), true
	out := variable.ReplaceAllStringFunc(text, func(ref string) string {
		m := variable.FindStringSubmatch(ref)
		name := m[1]
		if m[2] != "" {
			name = m[2]
		}
		if v, ok := values[name]; ok && v != "" {
			return v
		}
		if m[3] != "" {
			return m[4]
		}
		complete = false
		return ref
	})
	return out, complete
}

// variables gives the values of ARG and ENV at the end of stage s.
func variables(b *app.Build, s *app.Stage) map[string]string {
	global, out := map[string]string{}, map[string]string{}
	for line := range bytes.Lines(top(b.Dockerfile)) {
		if args, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "ARG "); ok {
			assign(global, args, nil)
		}
	}
	all := chain(b.Dockerfile, s)
	for _, s := range slices.Backward(all) {
		for _, in := range s.Instructions {
			switch in.Name {
			case "ARG":
				assign(out, in.Args, global)
				for name := range out {
					if v, ok := b.Args[name]; ok {
						out[name] = v
					}
				}
			case "ENV":
				assign(out, in.Args, nil)
			}
		}
	}
	return out
}

// assign reads "A=1 B=2", "A" (its value stands in given) and ENV's old form "A 1".
func assign(into map[string]string, text string, given map[string]string) {
	words := slices.Concat(commands(text)...)
	if given == nil && len(words) == 2 && !strings.Contains(words[0], "=") {
		into[words[0]] = words[1]
		return
	}
	for _, w := range words {
		if name, value, ok := strings.Cut(w, "="); ok {
			into[name] = value
		} else if v, ok := given[w]; ok {
			into[w] = v
		} else if given != nil {
			into[w] = ""
		}
	}
}

// top gives the lines of a Dockerfile in front of its first FROM.
func top(d *app.Dockerfile) []byte {
	if len(d.Stages) == 0 {
		return nil
	}
	at := 0
	for range d.Stages[0].Line - 1 {
		at += bytes.IndexByte(d.Content[at:], '\n') + 1
	}
	return d.Content[:at]
}
