package nonroot

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"road/internal/app"
)

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
