package nonroot

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// What the lines that fix adds to a Dockerfile say of themselves.
const (
	anyUserComment = "# Let any user run the app, as OpenShift does: its files belong to group 0"
	writesComment  = "# The app was seen to write here: for its own user, and for any user of group 0"
	readsComment   = "# The app was seen to need to read this"
	userComment    = "# No more root from here on"
	numberComment  = "# The kubelet can only verify a number: this is %s"
)

// fixImage gives the edit of one stage of a Dockerfile, none where its user is
// right already or only a run can tell it.
func fixImage(a *app.App, b *build) []edit.Edit {
	u := userOf(a, b.image)
	uid, chosen := b.chosenUser(a)
	switch u.kind {
	case unknownUser:
		return nil
	case numericUser:
		if uid = u.uid; !assigned(a) {
			return nil
		}
	case unclearUser:
		if !chosen {
			return nil
		}
	case namedUser:
		if !chosen {
			uid = u.uid
		}
	default:
		if !chosen {
			uid, _ = serviceUser(a, b.image)
		}
	}
	blocks := b.blocks(a, uid)
	known := u.kind == numericUser || u.kind == namedUser || u.kind == unclearUser
	if known && assigned(a) && len(blocks) > 0 {
		return fixAssigned(b, u, uid, blocks)
	}
	user := fmt.Sprintf("USER %d", uid)
	if u.hasGroup && u.gid >= 0 {
		user = fmt.Sprintf("USER %d:%d", uid, u.gid)
	}
	if known {
		comment := fmt.Sprintf(numberComment, strings.Join(strings.Fields(u.text), " "))
		switch {
		case u.kind == numericUser:
			return nil
		case u.own != nil:
			return b.replace(u.own, comment+"\n"+user)
		}
		return b.insert(comment + "\n" + user)
	}
	scripts := append(fixStart(b), fixScripts(a, b)...)
	if u.own != nil && len(blocks) == 0 && u.own.EndLine == b.lastBuilding() {
		return append(b.replace(u.own, user), scripts...)
	}
	return append(b.insert(append(blocks, userComment+"\n"+user)...), scripts...)
}

// blocks gives what makes the image usable for another user than root, as far as
// runs showed what it needs and it is not there yet.
func (b *build) blocks(a *app.App, uid int64) []string {
	var blocks []string
	if !b.hasShell() {
		return nil
	}
	if b.anyUser(a) && b.hasWorkdir(a) {
		blocks = append(blocks, anyUserComment+"\nRUN chgrp -R 0 . && chmod -R g+rwX .")
	}
	if assigned(a) {
		if run := b.written(a).run(-1); run != "" {
			blocks = append(blocks, groupComment+"\n"+run)
		}
	} else if run := b.written(a).run(b.podUser(a, uid)); run != "" {
		blocks = append(blocks, writesComment+"\n"+run)
	}
	if run := b.opened(a); run != "" && assigned(a) {
		blocks = append(blocks, closedComment+"\n"+run)
	} else if names := b.unreadable(a); len(names) > 0 {
		blocks = append(blocks, readsComment+"\nRUN chmod -R a+rX "+strings.Join(names, " "))
	}
	return b.missing(blocks)
}

// replace puts text in the place of an instruction.
func (b *build) replace(in *app.Instruction, text string) []edit.Edit {
	return []edit.Edit{{File: b.file(), Lines: &edit.Lines{After: in.Line - 1, Replace: in.EndLine - in.Line + 1, Text: text}}}
}

// insert puts blocks behind the last instruction that builds, with an empty line
// between them and around them.
func (b *build) insert(blocks ...string) []edit.Edit {
	after := b.lastBuilding()
	text := "\n" + strings.Join(blocks, "\n\n")
	lines := bytes.Split(b.image.Build.Dockerfile.Content, []byte("\n"))
	if after < len(lines) && len(bytes.TrimSpace(lines[after])) > 0 {
		text += "\n"
	}
	return []edit.Edit{{File: b.file(), Lines: &edit.Lines{After: after, Text: text}}}
}

// lastBuilding gives the last line of the last instruction that needs the rights
// of the one who builds, or says who that is.
func (b *build) lastBuilding() int {
	last := b.stage.Line
	for _, in := range b.stage.Instructions {
		switch in.Name {
		case "FROM", "RUN", "COPY", "ADD", "WORKDIR", "USER":
			last = max(last, in.EndLine)
		}
	}
	return last
}

var shellLess = regexp.MustCompile(`^scratch$|distroless|chainguard|/static(:|@|$)`)

// hasShell says whether RUN can work in the stage.
func (b *build) hasShell() bool {
	all := b.image.Build.Dockerfile.Chain(b.stage)
	return !shellLess.MatchString(all[len(all)-1].Base)
}

// hasWorkdir says whether "." is a directory of the app's own, not the root.
func (b *build) hasWorkdir(a *app.App) bool {
	for _, s := range b.image.Build.Dockerfile.Chain(b.stage) {
		if in := s.Last("WORKDIR"); in != nil {
			return path.Clean("/"+in.Args) != "/"
		}
	}
	return path.Clean("/"+a.Seen.Images[b.image.Ref].WorkingDir) != "/"
}

// podUser gives the user that the pods of the image run as.
func (b *build) podUser(a *app.App, uid int64) int64 {
	for _, w := range b.users(a) {
		if c := choiceOf(a, w); c.User != nil {
			return *c.User
		}
	}
	return uid
}

// A give is what the app's user gets in the image.
type give struct {
	made  []string // directories that are made for it, and whose it is
	whole []string // directories with all that is in them
	alone []string // directories and files without what is below them
}

func (g give) none() bool { return len(g.made)+len(g.whole)+len(g.alone) == 0 }

// written gives the places that the app writes in and that its user could not:
// those that runs showed, and those in which one was refused. A directory in which
// the image has what the app reads, its code or its pages, is not given with all
// that is in it; one for data is: a store reads all of its files and writes some.
func (b *build) written(a *app.App) give {
	var g give
	facts := a.Seen.Images[b.image.Ref]
	for _, in := range b.inside(a) {
		refused := func(dir string) bool {
			return slices.ContainsFunc(in.Denied, func(d app.Denied) bool { return d.What == "write" && (d.Name == dir || path.Dir(d.Name) == dir) })
		}
		for _, p := range in.Places() {
			if !in.inImage(p.Dir) || !mayGive(p.Dir, never) {
				continue
			}
			if o, ok := facts.Owners[p.Dir]; ok && b.mayWrite(a, o) && !refused(p.Dir) {
				continue
			}
			switch {
			case p.Made:
				g.made = append(g.made, p.Dir)
			case slices.Contains(shared, p.Dir), in.reads(p) && !in.isData(p.Dir):
				g.alone = append(g.alone, p.Dir)
				for _, name := range p.Changed {
					g.alone = append(g.alone, path.Join(p.Dir, name))
				}
			default:
				g.whole = append(g.whole, p.Dir)
			}
		}
	}
	for _, in := range b.inside(a) {
		for dir, w := range in.Writes {
			// Whoever starts the app as root and gives a directory away wants it written.
			reads := in.reads(app.Place{Dir: dir, Changed: w.Changed}) && !in.isData(dir)
			if w.Owned && in.inImage(dir) && mayGive(dir, never) && !slices.Contains(shared, dir) && !reads && !slices.Contains(g.alone, dir) {
				g.whole = append(g.whole, dir)
			}
		}
	}
	for _, list := range []*[]string{&g.made, &g.whole, &g.alone} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return g
}

// reads says whether the container opened files of the image in a place that it
// writes in, beside those that it changed.
func (w witness) reads(p app.Place) bool {
	return slices.ContainsFunc(w.Opened, func(name string) bool {
		rest, below := strings.CutPrefix(name, p.Dir+"/")
		return below && !slices.Contains(p.Changed, rest)
	})
}

// dataTops are where programs keep data, by the Filesystem Hierarchy Standard.
var dataTops = []string{"/var/lib/", "/var/spool/", "/var/cache/", "/data/"}

// code is what a program's own files end in, and a site's.
var code = regexp.MustCompile(`\.(pyc?|rb|pl|pm|php|js|mjs|cjs|ts|sh|lua|jar|war|class|so(\.[0-9.]+)?|html?|css|erl|beam|ex|exs)$`)

// isData says whether a directory of the image is one for data and holds no code,
// as far as the container opened what is in it: it lies where data does, or the image
// gave it to a user other than root.
func (w witness) isData(dir string) bool {
	o := w.Writes[dir].Owner
	if (o == nil || o.UID == 0) && !slices.ContainsFunc(dataTops, func(top string) bool { return strings.HasPrefix(dir+"/", top) }) {
		return false
	}
	isCode := func(name string) bool {
		return strings.HasPrefix(name, dir+"/") && (code.MatchString(name) || slices.Contains(w.Ran, name))
	}
	return !slices.ContainsFunc(w.Opened, isCode)
}

// unreadable gives what the app was refused to read, each as one word of a shell.
func (b *build) unreadable(a *app.App) []string {
	var names []string
	for _, in := range b.inside(a) {
		for _, d := range in.Denied {
			if name := path.Clean(d.Name); d.What == "read" && in.inImage(name) && mayGive(name, secret) {
				names = append(names, quote(name))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// mayWrite says whether the app's user can write to a directory of that owner
// as the image has it.
func (b *build) mayWrite(a *app.App, o app.Owner) bool {
	if assigned(a) {
		return o.Mode&0o002 != 0 || o.GID == 0 && o.Mode&0o020 != 0
	}
	uid, chosen := b.chosenUser(a)
	if !chosen {
		uid, _ = serviceUser(a, b.image)
	}
	return o.Mode&0o002 != 0 || int64(o.UID) == b.podUser(a, uid) && o.Mode&0o200 != 0
}

// never are the directories that stay root's, with all below those that end in a
// slash: whoever owns them owns the image, or they are not the image's at all.
var never = []string{"/", "/tmp", "/var/tmp", "/etc", "/usr", "/root", "/root/", "/dev", "/dev/", "/proc", "/proc/", "/sys", "/sys/",
	"/bin", "/bin/", "/sbin", "/sbin/", "/lib", "/lib/", "/lib64", "/lib64/", "/boot", "/boot/",
	"/usr/bin", "/usr/bin/", "/usr/sbin", "/usr/sbin/", "/usr/lib", "/usr/share", "/usr/local", "/usr/local/bin", "/usr/local/lib"}

// secret is what stays closed to everyone but root, in the same form.
var secret = []string{"/", "/etc", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/ssl/private", "/etc/ssl/private/",
	"/root", "/root/", "/dev", "/dev/", "/proc", "/proc/", "/sys", "/sys/"}

// mayGive says whether a name of the image may be opened: it is a path without
// control characters, and not on the list.
func mayGive(name string, list []string) bool {
	if !path.IsAbs(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return false
	}
	return !slices.ContainsFunc(list, func(n string) bool {
		return n == name || n != "/" && strings.HasSuffix(n, "/") && strings.HasPrefix(name, n)
	})
}

// shared are directories in which others live too: only they themselves change
// hands, not what is below.
var shared = []string{"/home", "/mnt", "/opt", "/run", "/srv", "/var", "/var/cache", "/var/lib", "/var/log", "/var/run", "/var/spool"}

// run gives the RUN instruction that lets uid and every user of group 0 write to
// what it gets; "" for nothing. With uid -1 it keeps its owner.
func (g give) run(uid int64) string {
	if g.none() {
		return ""
	}
	owner, group := fmt.Sprintf("chown -R %d:0", uid), fmt.Sprintf("chown %d:0", uid)
	if uid < 0 {
		owner, group = "chgrp -R 0", "chgrp 0"
	}
	var whole, alone []string
	top := "" // the last of whole, unquoted
	add := func(list []string) {
		for _, d := range list {
			if top == "" || !strings.HasPrefix(d, top+"/") {
				whole, top = append(whole, quote(d)), d
			}
		}
	}
	add(slices.Compact(slices.Sorted(slices.Values(slices.Concat(g.made, g.whole)))))
	for _, d := range g.alone {
		alone = append(alone, quote(d))
	}
	var parts []string
	if len(g.made) > 0 {
		var made []string
		for _, d := range g.made {
			made = append(made, quote(d))
		}
		parts = append(parts, "mkdir -p "+strings.Join(made, " "))
	}
	if list := strings.Join(whole, " "); list != "" {
		parts = append(parts, fmt.Sprintf("%s %s && chmod -R g=u %s", owner, list, list))
	}
	if list := strings.Join(alone, " "); list != "" {
		parts = append(parts, fmt.Sprintf("%s %s && chmod g=u %s", group, list, list))
	}
	return "RUN " + strings.Join(parts, " && ")
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_./+:@%,-]+$`)

// quote makes a path one word for a shell.
func quote(p string) string {
	if plain.MatchString(p) {
		return p
	}
	return "'" + strings.ReplaceAll(p, "'", `'\''`) + "'"
}
