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
	for _, s := range d.Chain(stage) {
		if in := s.Last("USER"); in != nil {
			return s, in
		}
	}
	return nil, nil
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
	all := b.Dockerfile.Chain(s)
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
