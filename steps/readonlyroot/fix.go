package readonlyroot

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// A choice is what road.yaml may choose for one workload.
type choice struct {
	Directories []string `json:"directories"` // what gets an emptyDir in every container, beside what a run showed
	SizeLimit   string   `json:"sizeLimit"`   // of each emptyDir, default defaultSize
}

// defaultSize is the sizeLimit of an emptyDir. The kubelet evicts a pod that
// writes more, so it is far above what logs of an hour or temporary files come
// to, and far below a node's disk.
const defaultSize = "256Mi"

// note stands above the first volume that the step adds.
const note = "Directories that the application was seen to write"

// copyNote stands above an init container that the step adds.
const copyNote = "What the image has in these directories goes into their volumes first"

// needs are what a container wants beside the field itself.
type needs struct {
	known  bool     // a run, or road.yaml, said which directories are written
	dirs   []string // absolute, sorted; those on a volume already are left out
	copied []string // those of dirs that begin with what the image has in them
	top    bool     // it writes into / itself
	early  bool     // it is an init container whose directories would need a copy
}

// needsOf finds what c's container writes. One that is never started with its
// pod is taken to write nothing.
func needsOf(a *app.App, c *app.Container) needs {
	var ch choice
	_ = a.Config.Choice(name, c.Workload, &ch) // a wrong one is fix's to report
	seen := a.Seen.Containers[c.Workload.ID()][c.Spec.Name]
	n := needs{known: seen != nil || ch.Directories != nil || c.Kind == app.Ephemeral}
	var places []app.Place
	for _, d := range ch.Directories {
		places = append(places, app.Place{Dir: path.Clean("/" + d)})
	}
	if seen != nil {
		places = append(places, seen.Places()...)
	}
	slices.SortStableFunc(places, func(a, b app.Place) int { return strings.Compare(a.Dir, b.Dir) })
	for _, p := range places {
		switch {
		case p.Dir == "/":
			n.top = true
		case step.OnVolume(a, c, p.Dir):
		case !covered(n.dirs, p.Dir) || n.hides(p, seen):
			n.dirs = append(n.dirs, p.Dir)
			if p.Holds && !slices.Contains(temporary, p.Dir) {
				n.copied = append(n.copied, p.Dir)
			}
		}
	}
	n.early = len(n.copied) > 0 && c.Kind == app.Init
	return n
}

// hides says whether a volume that begins empty would hide a directory of the
// image in which c writes too, as one at /run does with /run/lock.
func (n needs) hides(p app.Place, seen *app.SeenInside) bool {
	if seen == nil || p.Made || slices.Contains(n.dirs, p.Dir) || !covered(n.dirs, p.Dir) || covered(n.copied, p.Dir) {
		return false
	}
	_, there := seen.Writes[p.Dir]
	return there
}

// temporary are directories in which nobody looks for what he did not put there:
// in /var/log lie the logs of the image's build, some of them root's alone.
var temporary = []string{"/tmp", "/var/tmp", "/var/log"}

// covered says whether dir is one of dirs or lies below one.
func covered(dirs []string, dir string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return d == dir || strings.HasPrefix(dir, d+"/") })
}

// fix writes the field and the volumes of every workload of which is known what
// it writes. A workload is fixed as a whole or not at all.
func fix(a *app.App) ([]edit.Edit, error) {
	var edits []edit.Edit
	for _, w := range a.Workloads {
		size, err := sizeOf(a, w)
		if err != nil {
			return nil, err
		}
		if !windows(w) {
			edits = append(edits, fixPod(a, w, size)...)
		}
	}
	return edits, nil
}

// sizeOf gives the sizeLimit for w's volumes.
func sizeOf(a *app.App, w *app.Workload) (string, error) {
	var ch choice
	if err := a.Config.Choice(name, w, &ch); err != nil {
		return "", err
	}
	for _, d := range ch.Directories {
		if !path.IsAbs(d) || path.Clean(d) == "/" {
			return "", fmt.Errorf("%s: steps: %s: %s: %q is not a directory below /", a.Config.File, name, w.Name, d)
		}
	}
	if ch.SizeLimit == "" {
		return defaultSize, nil
	}
	if q, err := resource.ParseQuantity(ch.SizeLimit); err != nil || q.Sign() <= 0 {
		return "", fmt.Errorf("%s: steps: %s: %s: sizeLimit %q is not a size", a.Config.File, name, w.Name, ch.SizeLimit)
	}
	return ch.SizeLimit, nil
}

// fixPod gives the edits of one workload's manifest.
func fixPod(a *app.App, w *app.Workload, size string) []edit.Edit {
	var edits []edit.Edit
	set := func(p app.Path, v any, comment string) {
		edits = append(edits, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: p, Value: v, Comment: comment}})
	}
	names := namer(w)
	volumes := &list{path: w.PodPath.Join("volumes"), length: len(w.Pod.Volumes), set: set, comment: note}
	copies := &list{path: w.PodPath.Join(string(app.Init)), length: len(w.Pod.InitContainers), comment: copyNote,
		set: func(p app.Path, v any, comment string) {
			edits = append(edits, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: p, Value: v, Comment: comment, Before: string(app.Normal)}})
		}}
	for c := range w.Containers() {
		if readOnly(c) {
			continue
		}
		n := needsOf(a, c)
		if !n.known || n.top || n.early {
			return nil
		}
		set(c.Path.Join("securityContext", "readOnlyRootFilesystem"), true, "")
		mounts := &list{path: c.Path.Join("volumeMounts"), length: len(c.Spec.VolumeMounts), set: set}
		volumeOf := map[string]string{}
		for _, dir := range n.dirs {
			volume := names(c, dir)
			volumeOf[dir] = volume
			mounts.add(edit.Map{{Key: "name", Value: volume}, {Key: "mountPath", Value: dir}})
			volumes.add(edit.Map{{Key: "name", Value: volume}, {Key: "emptyDir", Value: edit.Map{{Key: "sizeLimit", Value: size}}}})
		}
		mounts.done()
		if len(n.copied) > 0 {
			for _, m := range copiers(a, c, n.copied, volumeOf) {
				copies.add(m)
			}
		}
	}
	copies.done()
	volumes.done()
	return edits
}

// A list collects items for a list of the manifest: all of them at once where
// the list is empty or missing, else one behind the other.
type list struct {
	path    app.Path
	length  int // of the list as it stands
	set     func(p app.Path, v any, comment string)
	comment string // above the first item, or above the list where it is new
	items   []any
}

func (l *list) add(item edit.Map) { l.items = append(l.items, item) }

// done makes the edits.
func (l *list) done() {
	if len(l.items) == 0 {
		return
	}
	if l.length == 0 {
		l.set(l.path, l.items, l.comment)
		return
	}
	for i, item := range l.items {
		l.set(l.path.Join(l.length+i), item, l.comment)
		l.comment = ""
	}
}

// namer gives a function that names volumes of w: after the directory, with the
// container's name in front where that name is taken, and numbered where both
// are.
func namer(w *app.Workload) func(c *app.Container, dir string) string {
	taken := map[string]bool{}
	for _, v := range w.Pod.Volumes {
		taken[v.Name] = true
	}
	if w.Kind == "StatefulSet" {
		for _, n := range mountNames(w.Pod) {
			taken[n] = true // a claim template's
		}
	}
	return func(c *app.Container, dir string) string {
		base := label(dir)
		name := base
		if taken[name] {
			base = label(c.Spec.Name + "-" + base)
			name = base
		}
		for i := 2; taken[name]; i++ {
			name = fmt.Sprintf("%s-%d", base, i)
		}
		taken[name] = true
		return name
	}
}

// mountNames gives the volumes that the containers of a pod mount.
func mountNames(p *corev1.PodSpec) []string {
	var out []string
	for _, c := range p.Containers {
		for _, m := range c.VolumeMounts {
			out = append(out, m.Name)
		}
	}
	return out
}

// maxLabel leaves room for a number behind the name of a volume, which may have
// 63 characters.
const maxLabel = 58

// label makes a directory's name one that a volume may have.
func label(dir string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, dir)
	if s = strings.Trim(s, "-"); len(s) > maxLabel {
		s = strings.Trim(s[len(s)-maxLabel:], "-")
	}
	if s == "" {
		return "written"
	}
	return s
}
