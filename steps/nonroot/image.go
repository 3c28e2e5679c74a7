package nonroot

import (
	"bytes"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"road/internal/app"
)

// A choice is what road.yaml may choose for one workload.
type choice struct {
	ImageUser *int64 `json:"imageUser"` // USER of the image; default: user
	User      *int64 `json:"user"`      // runAsUser of the pod; default: imageUser, else the one found
	Group     *int64 `json:"group"`     // runAsGroup of the pod
	AnyUser   bool   `json:"anyUser"`   // make WORKDIR usable for any user whose group is 0
}

// choiceOf gives the choice for w; a wrong one is fix's to report.
func choiceOf(a *app.App, w *app.Workload) choice {
	var c choice
	if a.Config.Choice(name, w, &c) != nil {
		return choice{}
	}
	if c.User == nil {
		c.User = c.ImageUser
	}
	if c.ImageUser == nil {
		c.ImageUser = c.User
	}
	return c
}

// A build is one stage that makes an image of the application, with every name
// that the manifests have for that image.
type build struct {
	image  *app.Image // the first that a run showed, else the first
	images []*app.Image
	stage  *app.Stage
}

func (b *build) file() string { return b.image.Build.Dockerfile.File }

// builds gives the stages that make images, each once.
func builds(a *app.App) []*build {
	var out []*build
	byStage := map[[2]string]*build{}
	for _, img := range a.Images {
		if img.Build == nil {
			continue
		}
		key := [2]string{img.Build.Dockerfile.File, img.Build.Target}
		if b := byStage[key]; b != nil {
			b.images = append(b.images, img)
			if _, seen := a.Seen.Images[b.image.Ref]; !seen {
				b.image = img
			}
		} else if s := img.Build.Dockerfile.Final(img.Build.Target); s != nil {
			byStage[key] = &build{img, []*app.Image{img}, s}
			out = append(out, byStage[key])
		}
	}
	return out
}

// users gives the workloads that run b, those whose first container does.
func (b *build) users(a *app.App) []*app.Workload {
	var out []*app.Workload
	for _, w := range a.Workloads {
		if len(w.Pod.Containers) > 0 && slices.ContainsFunc(b.images, func(i *app.Image) bool { return i.Ref == w.Pod.Containers[0].Image }) {
			out = append(out, w)
		}
	}
	return out
}

// chosenUser gives the first choice of a user for the image.
func (b *build) chosenUser(a *app.App) (int64, bool) {
	for _, w := range b.users(a) {
		if c := choiceOf(a, w); c.ImageUser != nil {
			return *c.ImageUser, true
		}
	}
	return 0, false
}

// anyUser says whether a workload asks that any user may run the image.
func (b *build) anyUser(a *app.App) bool {
	return slices.ContainsFunc(b.users(a), func(w *app.Workload) bool { return choiceOf(a, w).AnyUser })
}

// A witness is what one container of an image did, and where volumes hide the
// image from it.
type witness struct {
	*app.SeenInside
	mounts []string
}

// inImage says whether a name seen by the container is the image's.
func (w witness) inImage(name string) bool {
	return !slices.ContainsFunc(w.mounts, func(m string) bool { return name == m || strings.HasPrefix(name, strings.TrimSuffix(m, "/")+"/") })
}

// inside gives what the containers of b did in all runs.
func (b *build) inside(a *app.App) []witness {
	var out []witness
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			in := a.Seen.Containers[w.ID()][c.Spec.Name]
			if in == nil || !slices.ContainsFunc(b.images, func(i *app.Image) bool { return i.Ref == c.Spec.Image }) {
				continue
			}
			seen := witness{SeenInside: in}
			for _, m := range c.Spec.VolumeMounts {
				seen.mounts = append(seen.mounts, path.Clean(m.MountPath))
			}
			out = append(out, seen)
		}
	}
	return out
}

// appendRoot has the stage end as root, in memory.
func (b *build) appendRoot() {
	done := map[*app.Dockerfile]bool{}
	for _, img := range b.images {
		d := img.Build.Dockerfile
		s := d.Final(img.Build.Target)
		if done[d] || s == nil {
			continue
		}
		done[d] = true
		lines := bytes.SplitAfter(d.Content, []byte("\n"))
		head, tail := bytes.Join(lines[:s.EndLine], nil), bytes.Join(lines[s.EndLine:], nil)
		if !bytes.HasSuffix(head, []byte("\n")) {
			head = append(head, '\n')
		}
		d.Content = slices.Concat(head, []byte("USER root\n"), tail)
		s.EndLine++
		s.Instructions = append(s.Instructions, app.Instruction{Name: "USER", Args: "root", Line: s.EndLine, EndLine: s.EndLine})
		for _, later := range d.Stages[slices.Index(d.Stages, s)+1:] {
			later.Line++
			later.EndLine++
			for i := range later.Instructions {
				later.Instructions[i].Line++
				later.Instructions[i].EndLine++
			}
		}
	}
}

// nobodyInParticular is the user where an image has no account for its app. It
// is the one that distroless images call nonroot.
const nobodyInParticular = 65532

// systemAccounts are in every Debian, Alpine or Fedora base and belong to no app.
var systemAccounts = []string{"root", "daemon", "bin", "sys", "sync", "games", "man", "lp", "mail", "news", "uucp", "proxy", "backup", "list", "irc", "nobody", "_apt", "adm", "shutdown", "halt", "operator", "guest", "cron", "ftp"}

// serviceUser finds the account that an image without a user of its own has for
// its app. The first of these that there is will do: the one that the entry point
// goes on as; the owner of the working directory or of a volume; the one whose name
// the program has; the only one that the Dockerfile makes; the owner of a directory
// that the app writes in.
func serviceUser(a *app.App, img *app.Image) (uid, gid int64) {
	facts, known := a.Seen.Images[img.Ref], accountsOf(a, img)
	if acc := dropsTo(a, img, known); acc != nil {
		return int64(acc.UID), int64(acc.GID)
	}
	for _, dir := range append([]string{facts.WorkingDir}, facts.Volumes...) {
		if o, ok := facts.Owners[dir]; ok && o.UID > 0 && o.UID < nobodyInParticular {
			if acc := known.byUID(o.UID); acc != nil {
				return int64(acc.UID), int64(acc.GID)
			}
			return int64(o.UID), int64(o.UID)
		}
	}
	words := programWords(img, facts)
	for _, acc := range known.list {
		if acc.UID > 0 && !slices.Contains(systemAccounts, acc.Name) && slices.ContainsFunc(words, func(w string) bool { return runsAs(w, acc.Name) }) {
			return int64(acc.UID), int64(acc.GID)
		}
	}
	if img.Build != nil {
		if s := img.Build.Dockerfile.Final(img.Build.Target); s != nil {
			var list []app.Account
			for _, s := range img.Build.Dockerfile.Chain(s) {
				list = append(list, made(img.Build, s).list...)
			}
			if len(list) == 1 {
				return int64(list[0].UID), int64(list[0].GID)
			}
		}
	}
	for _, dir := range writtenBy(a, img) {
		if acc := known.byUID(dir.UID); acc != nil && acc.UID < nobodyInParticular && !slices.Contains(systemAccounts, acc.Name) {
			return int64(acc.UID), int64(acc.GID)
		}
	}
	return nobodyInParticular, nobodyInParticular
}

// writtenBy gives whose the directories are in an image that its app writes in, by
// the directories' names.
func writtenBy(a *app.App, img *app.Image) []app.Owner {
	found := map[string]app.Owner{}
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			in := a.Seen.Containers[w.ID()][c.Spec.Name]
			if in == nil || c.Spec.Image != img.Ref {
				continue
			}
			for dir, write := range in.Writes {
				if write.Owner != nil && write.Owner.UID > 0 {
					found[dir] = *write.Owner
				}
			}
		}
	}
	var out []app.Owner
	for _, dir := range slices.Sorted(maps.Keys(found)) {
		out = append(out, found[dir])
	}
	return out
}

// webServers run as www-data where the image has that account.
var webServers = regexp.MustCompile(`^(nginx|apache2?|apache2ctl|apachectl|httpd|lighttpd|php-fpm[0-9.]*)(-|$)`)

// runsAs says whether a program of that name is run by that account:
// redis-server by redis, mysqld by mysql, nginx by www-data.
func runsAs(program, account string) bool {
	if account == "www-data" && webServers.MatchString(program) {
		return true
	}
	rest, ok := strings.CutPrefix(program, account)
	return ok && len(account) > 2 && (rest == "" || rest == "d" || strings.HasPrefix(rest, "-"))
}

var wordSigns = regexp.MustCompile(`[^A-Za-z0-9_./-]+`)

// programWords gives the base names of the words of an image's entry point.
func programWords(img *app.Image, facts app.ImageFacts) []string {
	text := strings.Join(append(slices.Clone(facts.Entrypoint), facts.Cmd...), " ")
	if img.Build != nil {
		if s := img.Build.Dockerfile.Final(img.Build.Target); s != nil {
			for _, n := range []string{"ENTRYPOINT", "CMD"} {
				if in := s.Last(n); in != nil {
					text += " " + in.Args
				}
			}
		}
	}
	var out []string
	for _, w := range wordSigns.Split(text, -1) {
		out = append(out, path.Base(w))
	}
	return out
}
