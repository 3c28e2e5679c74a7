// Package sandbox is what a walk needs of a place where applications run: the
// engine that runs them as Kubernetes would, and the scene of an attack. The
// engines live below it (oci for runc on this host); steps and the driver know
// only this package.
package sandbox

import (
	"context"
	"errors"
	"net"
	"time"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// An Engine builds and runs applications.
type Engine interface {
	Info() Info

	// Prepare builds or pulls every image of a, so that Deploy starts at once,
	// and gives what is known of each by app.Image.Ref. Progress may be nil.
	Prepare(ctx context.Context, a *app.App, progress Progress) (map[string]app.ImageFacts, error)

	// Deploy starts every workload of a as its manifests say, and returns when
	// all pods have been created; Ready waits for them. It uses a's typed
	// objects, not its files, so a weakened app can be run.
	Deploy(ctx context.Context, a *app.App, o DeployOptions) (Deployment, error)

	// Publish gives, for the images of an application that was prepared and those
	// that its Dockerfiles start from, the digests by which registries know them,
	// or why none does (app.Seen.Pins). Images that are built here are first given
	// to the registry that was named for them, which moves their tags there. Where
	// push is false nothing leaves this process: what would be pushed has the
	// digest that a registry in process answers.
	Publish(ctx context.Context, a *app.App, push bool, progress Progress) (map[string]app.Pin, error)

	// Close ends everything that the engine started.
	Close() error
}

// Info says what an engine is and what it can prove here.
type Info struct {
	Name    string           `json:"name"`            // "oci"
	Runtime string           `json:"runtime"`         // "runc 1.1.5"
	Kernel  string           `json:"kernel"`          // "6.18"
	Lacks   map[Power]string `json:"lacks,omitempty"` // what it cannot enforce or show, with the reason
	Memory  int64            `json:"-"`               // bytes that all deployments may use together; 0 is not known
}

// A Power is something that an engine on a host can enforce or show. An attack
// that needs one which is lacking is unproven there.
type Power string

// The powers.
const (
	HostView       Power = "host-view"       // the node's own view of files, owners, processes and cgroups
	CodeInside     Power = "code-inside"     // the probe runs in the container as the app does
	PackageMirror  Power = "package-mirror"  // a Debian package mirror answers from inside a pod
	Attackers      Power = "attackers"       // hosts of the attacker's and a neighbour pod
	NetworkPolicy  Power = "network-policy"  // a denied flow was seen to be denied
	UserNamespaces Power = "user-namespaces" // pods with hostUsers: false
	Seccomp        Power = "seccomp"
	Audit          Power = "audit" // seccomp's log over the audit channel
	MemoryLimits   Power = "memory-limits"
	CPULimits      Power = "cpu-limits"
)

// Progress is told what is going on, one short line at a time: "web: apt-get install (3/7)".
type Progress func(line string)

// DeployOptions change how an application is started. The zero value is right.
type DeployOptions struct {
	// Claims names the set of volume claims that the deployment uses. Deployments
	// with the same name find each other's data, as an upgrade in place would;
	// never two at once. "" gives claims that go with the deployment.
	Claims string

	// Keep names a set of claims that gets a copy of Claims as they are before any
	// pod starts; "" keeps none.
	Keep string

	// Attacked says that nobody but an attacker uses the deployment: its claims go
	// with it, one pod of each Deployment will do, and what it uses is not
	// measured.
	Attacked bool

	// Weight is how many times the share of another deployment's this one has of
	// busy processors; 0 is 1.
	Weight int

	// Trace has the system calls of every container recorded, which SysCalls gives
	// once the deployment was stopped. Meanwhile all containers run under the runtime's
	// default filter. It needs the power Audit.
	Trace bool

	// Name is put before the names of the deployment's pods, so that several can
	// be told apart in ps and in logs: "2.0".
	Name string
}

// A Deployment is a running application, in a little cluster of its own: several
// at once do not see each other's Services, policies or neighbours, and each has
// a node of its own.
type Deployment interface {
	// Ready returns when every pod is ready (a finite workload: has completed),
	// with a *NotReadyError when it is clear that one will not be.
	Ready(ctx context.Context) error

	// Unready says of every workload that failed, or serves and is not ready now,
	// why: where several are not, the first that gave up need not be the cause.
	Unready() []*NotReadyError

	// Notes says what the application asks for and does not get here, or gets in
	// another way: "job/copy: hostNetwork: the pod has a network of its own".
	Notes() []string

	// Client gives a legitimate client of the application.
	Client(ctx context.Context, from ClientOptions) (Client, error)

	// RunPod runs a client program in a pod of its own, to its end.
	RunPod(ctx context.Context, o PodOptions) (Output, error)

	// Restart makes the pods of a workload anew and waits until they are ready.
	Restart(ctx context.Context, workload string) error

	// Scene sets up an attack on one container of a workload's first pod. mods
	// change the pod first: then, and when fresh is asked for, it is a pod of its
	// own from the same spec that serves no traffic of the app's. Close it.
	Scene(ctx context.Context, t Target, fresh bool, mods ...func(*corev1.PodSpec)) (*Scene, error)

	// Learn adds what the running containers did so far to s.
	Learn(ctx context.Context, s *app.Seen) error

	// Refused adds to s what the containers of a deployment that does not work say
	// that they were refused.
	Refused(s *app.Seen) error

	// SysCalls adds to s what the containers of a stopped deployment called, which
	// was deployed with Trace. The error says that not everything was recorded;
	// nothing is added then.
	SysCalls(s *app.Seen) error

	// Front gives the workload and port that users reach, "" and 0 where there is none.
	Front() (workload string, port int)

	// Publish forwards a loopback address of the host ("127.0.0.1:0") to a
	// Service and gives the address that it got.
	Publish(ctx context.Context, addr, service string, port int) (net.Addr, error)

	// Logs gives the last lines of every container of a workload.
	Logs(workload string, lines int) string

	// Unresolved gives the names that the application's pods looked up so far and
	// nobody knows, sorted.
	Unresolved() []string

	// Stop ends the application. Claims stay where they have a name.
	Stop(ctx context.Context) error
}

// ClientOptions say who a client is. The zero value takes the users' path: for a
// Service behind an Ingress it is the ingress controller's stand-in, else a pod
// in the app's namespace with the label road-client.
type ClientOptions struct {
	Service   string            // the Service that it is going to ask: "web" or, where several namespaces have one, "web.front"
	Name      string            // value of the label road-client
	Workload  string            // a pod with this workload's labels and namespace
	Namespace string            // a pod in this namespace
	Labels    map[string]string // with these labels
}

// A Client is a legitimate client with a network address of its own.
type Client interface {
	// DialContext resolves names as a pod does: "redis:6379".
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	Close() error
}

// PodOptions describe a client program.
type PodOptions struct {
	Client  ClientOptions
	Image   string // an app.Image.Ref that was prepared, used as it was prepared first
	Command []string
	Env     []corev1.EnvVar
}

// Output is what a program said and how it ended.
type Output struct {
	Stdout, Stderr string
	Status         int // exit status; 128+n for signal n
}

// NotReadyError says which workload does not get ready, and shows why.
type NotReadyError struct {
	Workload string
	Reason   string // "container web: exit status 1", "image has non-numeric user (web), cannot verify user is non-root"
	Logs     string // the last lines of its containers

	Running []string // workloads that got ready all the same; none where nobody waited for them
}

// Error leaves the logs out: they have lines.
func (e *NotReadyError) Error() string { return e.Workload + " does not get ready: " + e.Reason }

// A Target is what an attack acts on.
type Target struct {
	Workload  string // app.Workload.ID
	Container string
}

// A Scene is one container under attack, and the world around it. A field that
// the engine lacks is nil; an attack's Needs name it.
type Scene struct {
	App       *app.App
	First     *app.App // the application as it came, which the driver knows; nil elsewhere
	Target    Target
	Foothold  Foothold
	Node      Node
	Attacker  Host // a host of the attacker's, outside the cluster
	Neighbour Host // another pod of the same namespace
	Control   Control
	Registry  Registry
	Addr      string // the attacked pod's IP address

	// CodeAs says who the attacker's code is where that is not who the manifest and
	// the image say, "" otherwise: "uid 999, gid 999: the entry point drops root".
	// Code is what the server is; before the first Code nobody knows.
	CodeAs func() string

	// Fresh gives the scene of another pod of its own, from the same spec with
	// mods; Close ends it.
	Fresh func(ctx context.Context, mods ...func(*corev1.PodSpec)) (*Scene, error)
	Close func() error

	// Hold changes a pod's spec, for Fresh: its containers do nothing, alone, as the
	// users that they are, so that what is tried needs no application that starts.
	Hold func(*corev1.PodSpec)

	// Services gives the addresses of the application's own Services, by name:
	// "redis", or "redis.data" for that of a namespace.
	Services func(name string) (addr string, ok bool)

	// Volume is a directory inside the container that lies on a volume shared
	// with the node. It belongs to the sandbox. It is a directory of the node's as
	// it is: where the pod has users of its own, its owners are not mapped, as
	// those of the pod's own volumes are, so they show who the pod's users are
	// outside.
	Volume string

	// Under says under what else than exactly the container's own settings the probe
	// runs, "" where that is nothing; known once it has run.
	Under func() string

	// Favour gives the sandbox's pods precedence over this machine's other
	// programs until undo is called, for an attack on what they share; nil where
	// that cannot be done. For seconds only, and by one attack at a time.
	Favour func() (undo func() error, err error)

	// Plant puts a copy of the probe's program on Volume as the node's root. It
	// stands for a helper such as su or ping that an image or a volume carries.
	Plant func(h Helper) (*Planted, error)
}

// A Helper is a program with more power than who runs it.
type Helper struct {
	Name         string // in Volume; must not be there yet
	Mode         uint32 // as in chmod(1): 0o4755 for setuid root
	Capabilities uint64 // of the file, permitted and effective: bit 13 is CAP_NET_RAW; 0 for none
}

// Planted is a Helper that is there.
type Planted struct {
	Path   string // inside the container
	Remove func() error
}

// Foothold is how an attacker acts in the container.
type Foothold interface {
	// Command runs argv through the app's own hole, from where users are;
	// ErrNoHole where the app has none.
	Command(ctx context.Context, argv ...string) (string, error)
	// Request has the app fetch uri through its own hole; ErrNoHole where it has none.
	Request(ctx context.Context, uri string) (string, error)
	// Code has the probe, which runs as the app does, do one thing; package
	// probe lists them. into may be nil.
	Code(ctx context.Context, verb string, args, into any) error
}

// Node is what the host sees of the container. Names are paths inside it.
type Node interface {
	Stat(name string) (File, error)
	ReadFile(name string, limit int64) ([]byte, error)
	Processes() ([]Process, error) // of this container
	Usage() (Usage, error)         // of the pod's cgroup
	Disk() (Disk, error)           // of the pod, with its eviction
	Keys() ([]string, error)       // lines of the host's /proc/keys, of the users of this container
	Filter() (Filter, error)       // of the container's system calls
}

// A File is what the host's stat shows.
type File struct {
	UID, GID int
	Mode     uint32 // as in chmod(1), with setuid, setgid and sticky
	Size     int64
	Device   bool // a character or block device
}

// A Process is what the host's ps shows.
type Process struct {
	PID     int // on the host
	Inside  int // in the container's PID namespace
	UID     int // effective, on the host
	GID     int
	Exe     string // target of /proc/PID/exe
	Command string // arguments joined by spaces
}

// Usage is what the pod's cgroup counts.
type Usage struct {
	AnonBytes int64         // anonymous memory
	OOMKills  int64         // by whoever's limit: the node's is counted here too
	Full      bool          // its memory, or a container's, was once as much as its own limit
	CPU       time.Duration // used so far
	Throttled int64         // periods in which it was held back
	Processes int64         // threads count, as in pids.current
}

// Disk is what a pod holds of the node's disk, in bytes.
type Disk struct {
	Used    int64  // by its writable layers, logs and emptyDirs
	Free    int64  // of the disk
	Evicted string // why the node has ended the pod, in the kubelet's words; "" where it has not
}

// A Filter is counted in names of system calls, of those that the machine knows.
type Filter struct {
	Known   int // by this machine
	Allowed int // all of Known where there is no filter
	Partly  int // of Allowed: with certain arguments only
}

// Host is a machine of the attacker's or a neighbour pod.
type Host interface {
	Addr() string // its IP address
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	Listen(ctx context.Context, network, addr string) (net.Listener, error)
	ListenPacket(ctx context.Context, network, addr string) (net.PacketConn, error)
}

// ErrNoHole says that the application has no hole of that kind, or that
// road.yaml names none.
var ErrNoHole = errors.New("the application has no such hole (road.yaml: foothold)")

// A LackError says that the engine turned out to lack a power when it was wanted.
type LackError struct {
	Power  Power
	Reason string
}

// Error names the power and the reason.
func (e *LackError) Error() string { return "no " + string(e.Power) + ": " + e.Reason }

// A HostError says that this host, not the application, stands in the way.
type HostError struct {
	Err  error
	Hint string // the command that mends it, may be empty
}

// Error is that of Err.
func (e *HostError) Error() string { return e.Err.Error() }

// Unwrap gives Err.
func (e *HostError) Unwrap() error { return e.Err }
