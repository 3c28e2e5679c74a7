// Package app is the application as its owner wrote it: Dockerfiles, Kubernetes
// manifests and road.yaml, each value with the place where it stands, plus what
// a run of it showed (Seen).
//
// It is the floor of the tree: every other package may import it, it imports
// none of them. Loading reads files and nothing else: no network, no clock.
package app

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// An App is one application: everything that Load found below one folder.
type App struct {
	Root      string      // absolute path of the folder
	Name      string      // base name of Root, or "demo"
	Config    *Config     // road.yaml, never nil; its zero value is "no road.yaml"
	Manifests []*Manifest // every YAML or JSON file that was read, sorted by name
	Objects   []*Object   // every Kubernetes object, in file order, workloads included
	Workloads []*Workload // the objects that run pods, in file order
	Images    []*Image    // the distinct images that the workloads name, in order of first use
	StandIns  []*Image    // those that no workload names, but checks do, or services that they stand in for (road.yaml)
	Problems  []Problem   // files, or places in them, that were passed by, and why; sorted by place

	Dockerfiles []*Dockerfile // every Dockerfile below Root, tied to an image or not, sorted by name

	// Seen is what runs of this application showed; never nil, empty before the
	// first run. A step's Fix may depend on it, Check may ask for it.
	Seen *Seen

	// Stop is the number of the stop that is being made, 0 outside a walk. Only
	// the choice "tags: stop" of road.yaml reads it.
	Stop int

	// Names holds the name of everything that was found below Root: also of files
	// that were not read, of links and of folders. See Free.
	Names map[string]bool

	// Below is the folder of PATH, from Root: "." or, for an overlay whose base lies
	// beside it, the overlay's.
	Below string

	// Rendered is what the objects were rendered from; nil where the manifests are
	// the application.
	Rendered *Rendered

	files   map[string][]byte // what Files gives
	scripts map[string][]byte // those of files with which images start
}

// Free says whether a new file may have the name: nothing lies there, be it a file
// that is none of the application's. What only a link leads to is not known here.
func (a *App) Free(name string) bool {
	_, read := a.files[name]
	return !read && !a.Names[name]
}

// A Manifest is one file of Kubernetes objects, kept byte for byte.
type Manifest struct {
	File    string // slash-separated, relative to App.Root
	Content []byte
}

// A Problem is a file, or a place in it, that could not be used.
type Problem struct {
	Pos
	Message string // what is wrong, lower case, no period
	Hint    string // what to do about it, may be empty
	Unread  bool   // what stands there was not read: the file, or the object in it
}

// Error gives "file:line: message".
func (p Problem) Error() string { return p.Pos.String() + ": " + p.Message }

// A Pos is a place in a file.
type Pos struct {
	File   string // slash-separated, relative to App.Root
	Line   int    // 1-based; 0 means the whole file
	Column int    // 1-based, in characters as editors count them; 0 means unknown
}

// String gives "file:line", which editors and terminals can follow.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// A Path leads from the top of a YAML document to a value: strings are keys of
// a mapping, ints are places in a sequence.
type Path []any

// String gives the path as kubectl explain and jsonpath users write it:
// spec.containers[0].image.
func (p Path) String() string {
	var b strings.Builder
	for _, e := range p {
		switch e := e.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", e)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, e)
		}
	}
	return b.String()
}

// Join returns p with more behind it; it never shares p's memory.
func (p Path) Join(more ...any) Path {
	return append(append(Path(nil), p...), more...)
}

// An Object is one Kubernetes object of a manifest.
type Object struct {
	File       string // slash-separated, relative to App.Root; of rendered objects no file, see Rendered
	Doc        int    // place of its document in the file, 0 first
	Line       int    // 1-based line of the object's first key
	APIVersion string
	Kind       string
	Name       string
	Namespace  string         // as written; "" where the manifest names none
	Within     Path           // from the top of its document to the object: empty, or items[2] in a List
	Typed      runtime.Object // decoded, for the kinds that road knows; nil for others, which are kept and passed by
	source     *source
	rendered   *Rendered // nil for an object that stands in File as it is
	home       string    // where road.yaml says that manifests without a namespace go
}

// DefaultNamespace is where kubectl puts what names no namespace.
const DefaultNamespace = "default"

// Home gives the namespace that the object lands in: its own, else the one that
// road.yaml names, else DefaultNamespace.
func (o *Object) Home() string { return cmp.Or(o.Namespace, o.home, DefaultNamespace) }

// Pos finds the place of path in the object's document; where path does not
// stand, the place of its longest part that does. So a finding about a missing
// field points at the mapping that lacks it. path may begin at the object or, as
// those of workloads and containers do, at the top of the document. Of a rendered
// object it is the place where its owner would write.
func (o *Object) Pos(path Path) Pos {
	if o.rendered != nil {
		return o.rendered.pos(o, o.own(path))
	}
	return o.source.pos(o, o.own(path))
}

// Has says whether path, which is as Pos takes it, stands in the document as it
// was written.
func (o *Object) Has(path Path) bool { return o.source.has(o.own(path)) }

// own takes the way to the object off a path. No object has a list called items
// at its top.
func (o *Object) own(path Path) Path {
	n := len(o.Within)
	if n == 0 || len(path) < n || !slices.Equal(path[:n], o.Within) {
		return path
	}
	return path[n:]
}

// A Workload is an object that runs pods. Pod is decoded and may be changed in
// memory (Weaken does); the files are changed by package edit alone.
type Workload struct {
	*Object
	Replicas int32              // how many pods; 1 where the kind has no such field
	Meta     *metav1.ObjectMeta // the pod template's metadata
	Pod      *corev1.PodSpec    // the pod template's spec
	PodPath  Path               // from the top of the document to the pod spec: spec.template.spec for a Deployment, with Within in front
}

// ID names a workload in reports and on the command line: "deployment/web".
func (w *Workload) ID() string { return strings.ToLower(w.Kind) + "/" + w.Name }

// Finite says that the workload is meant to end: a Job or a CronJob.
func (w *Workload) Finite() bool { return w.Kind == "Job" || w.Kind == "CronJob" }

// ContainerKind tells the three lists of a pod's containers apart.
type ContainerKind string

// The lists of containers in a pod. A sidecar is an init container whose
// restartPolicy is Always.
const (
	Init      ContainerKind = "initContainers"
	Normal    ContainerKind = "containers"
	Ephemeral ContainerKind = "ephemeralContainers"
)

// A Container is one container of a workload, whatever list it stands in.
type Container struct {
	Kind     ContainerKind
	Index    int               // place in its list
	Spec     *corev1.Container // for Ephemeral it aliases EphemeralContainerCommon, whose fields are the same
	Path     Path              // from the top of the document to this container
	Workload *Workload
}

// Sidecar says that the container is an init container that stays.
func (c *Container) Sidecar() bool {
	return c.Kind == Init && c.Spec.RestartPolicy != nil && *c.Spec.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// RunAs gives what the manifest says of c's user, its own word before the pod's: nil
// for what neither says.
func (c *Container) RunAs() (user *int64, nonRoot *bool) {
	if sc := c.Workload.Pod.SecurityContext; sc != nil {
		user, nonRoot = sc.RunAsUser, sc.RunAsNonRoot
	}
	if sc := c.Spec.SecurityContext; sc != nil {
		if sc.RunAsUser != nil {
			user = sc.RunAsUser
		}
		if sc.RunAsNonRoot != nil {
			nonRoot = sc.RunAsNonRoot
		}
	}
	return user, nonRoot
}

// Pos finds the place of path, which starts at the container.
func (c *Container) Pos(path ...any) Pos { return c.Workload.Pos(c.Path.Join(path...)) }

// Containers visits every container of the pod in the order in which Kubernetes
// validates them: init, normal, ephemeral. Every rule about containers goes
// through here, so that none is forgotten.
func (w *Workload) Containers() iter.Seq[*Container] {
	return func(yield func(*Container) bool) {
		for i := range w.Pod.InitContainers {
			if !yield(&Container{Init, i, &w.Pod.InitContainers[i], w.PodPath.Join(string(Init), i), w}) {
				return
			}
		}
		for i := range w.Pod.Containers {
			if !yield(&Container{Normal, i, &w.Pod.Containers[i], w.PodPath.Join(string(Normal), i), w}) {
				return
			}
		}
		for i := range w.Pod.EphemeralContainers {
			c := (*corev1.Container)(&w.Pod.EphemeralContainers[i].EphemeralContainerCommon)
			if !yield(&Container{Ephemeral, i, c, w.PodPath.Join(string(Ephemeral), i), w}) {
				return
			}
		}
	}
}

// An Image is one image that a workload names.
type Image struct {
	Ref   string // as written in the manifest: "redis:8", "web@sha256:..."
	Name  string // Ref without tag and digest
	Build *Build // how it is built from PATH; nil where it comes from elsewhere, or Broken is not

	// Broken is what is wrong with the Dockerfile that would make it, which could not
	// be read; nil for none.
	Broken *Problem

	// Archive is the file or folder of PATH that holds the image as it is,
	// slash-separated, relative to App.Root; "" for none.
	Archive string
}

// A Build ties an image to the Dockerfile that makes it.
type Build struct {
	Context    string      // folder, slash-separated, relative to App.Root; "." is Root
	Dockerfile *Dockerfile // never nil
	Target     string      // stage to build; "" is the last
	Args       map[string]string
	Inferred   string // why road ties the two where road.yaml does not say so; "" where it does
}

// Image finds the image that ref names, nil if none does.
func (a *App) Image(ref string) *Image {
	for _, i := range a.Images {
		if i.Ref == ref {
			return i
		}
	}
	return nil
}

// Workload finds a workload by ID, or by its name alone where that is unique;
// nil if there is none.
func (a *App) Workload(id string) *Workload {
	var named []*Workload
	for _, w := range a.Workloads {
		if w.ID() == id {
			return w
		}
		if w.Name == id {
			named = append(named, w)
		}
	}
	if len(named) == 1 {
		return named[0]
	}
	return nil
}

// Dockerfile finds a Dockerfile by its name relative to Root, nil if it was not
// found or could not be parsed.
func (a *App) Dockerfile(file string) *Dockerfile {
	for _, d := range a.Dockerfiles {
		if d.File == file {
			return d
		}
	}
	return nil
}
