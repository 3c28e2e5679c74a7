// Package pod runs one Kubernetes pod on an OCI runtime: it turns a PodSpec into
// OCI bundles by the rules of the kubelet (v1.37) and of containerd's CRI plugin
// (v2.4), starts them, keeps them running as the kubelet would, and shows what
// the node sees of them.
//
// The package is given everything that lies outside the pod: images as
// directories, a network namespace, the content of Secrets and ConfigMaps, the
// directories of volume claims. Nothing of the host is mounted into a pod except
// the probe. What a pod asks for and does not get here is a note (Pod.Notes) or
// an error, never silence.
package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox/oci/world"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Options are what a pod needs of the world around it.
type Options struct {
	ID        string // unique among the pods of one RuncRoot and one Disk, at most 60 characters of [a-z0-9.-]
	Name      string // the pod's name; "" is Meta.Name, else ID
	Namespace string // "" is "default"
	Hostname  string // "" is the spec's hostname, else Name, cut to 63 characters
	IP        string // the pod's address: probes, /etc/hosts, status.podIP; may be ""
	NodeName  string // for spec.nodeName; "" is "road"
	NodeIP    string // for status.hostIP

	Meta   *metav1.ObjectMeta // labels and annotations for the downward API; may be nil
	Spec   *corev1.PodSpec    // never changed
	Images map[string]*image.Image

	NetNS      string        // path of the pod's network namespace; "" makes an empty one with only lo
	UserNS     *world.UserNS // the pod's users, to whom NetNS must belong; nil for the host's
	ResolvConf string        // text of /etc/resolv.conf

	Dir          string // bundles, root file systems, namespaces: on a tmpfs that goes with the world
	Disk         string // upper layers, volumes, logs: on a disk
	CgroupParent string // "/road-x/node"; the pod's own cgroup is made below it
	RuncRoot     string // runc --root
	Runtime      string // "" is "runc"
	HostProc     string // the host's /proc as seen from here, for host PIDs; "" is /proc

	// HostPID gives the host's number of a process that is alive; nil where it is
	// the same as here.
	HostPID func(pid int) (int, error)

	Env         []corev1.EnvVar // KUBERNETES_SERVICE_* and, with enableServiceLinks, the namespace's Services
	Sources     Sources
	SeccompDirs []string // where seccompProfile.localhostProfile is looked for, one after the other

	ProbePath string // program mounted read-only at /.road/probe; "" for none
	Scratch   string // directory mounted writable at /.road/volume; "" for none

	// Failures is how many runs of a container may fail in a pod that is restarted
	// on failure until it has failed for good, as a Job counts them; 0 leaves it to
	// the crash loop.
	Failures int

	// Dial connects as the node does, for httpGet, tcpSocket and grpc probes and
	// hooks. nil dials from this process's network namespace.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Log gets a copy of what a container writes; may be nil or return nil.
	Log func(container string) io.Writer

	// Measure is told the peaks of a container whenever they rise, from a
	// goroutine of the pod's; nil measures nothing.
	Measure func(container string, p Peak)

	Trace *Trace // has the containers' system calls logged; nil runs them as they are

	// Opened is told the files of its image that a container opens, from a goroutine
	// of the pod's, again and again; nil watches nothing.
	Opened func(container string, o Open)

	// Unseen is told why not everything that a container opened is told; may be nil.
	Unseen func(container string, err error)
}

// Sources give what volumes and variables refer to. A nil function means that
// there are no such objects.
type Sources struct {
	Secret    func(name string) (map[string][]byte, bool)
	ConfigMap func(name string) (map[string][]byte, bool)

	// Claim gives the directory of a volume claim; it outlives the pod.
	Claim func(name string) (dir string, err error)

	// Token signs a service account token. nil means that the pod gets no service
	// account volume unless its spec has one, which is an error then.
	Token func(audience string, seconds int64) (string, error)
}

// Mount points that are ours inside every container.
const (
	ProbeDestination   = "/.road/probe"
	ScratchDestination = "/.road/volume"
)

// A Pod is a running pod.
type Pod struct {
	o        Options
	spec     *corev1.PodSpec
	uid      string
	dir      string // o.Dir/o.ID
	disk     string // o.Disk/o.ID
	cgroup   podCgroup
	ns       map[string]string // namespace type: path
	pause    *pause
	volumes  map[string]*volume
	ctx      context.Context
	cancel   context.CancelFunc
	stopping chan struct{} // closed when the pod is asked to end
	done     chan struct{} // closed when nothing of it runs any more

	mu       sync.Mutex
	notes    []string
	all      []*container // init, then normal
	changed  chan struct{}
	failure  *FailedError
	evicted  string         // why, "" for not
	beside   sync.WaitGroup // what ends soon after the pod and before it is taken down
	endOnce  sync.Once
	grace    int64 // seconds; set before stopping is closed
	stopOnce sync.Once
	stopErr  error
	closed   chan struct{} // when nothing is left of it
}

// Start makes the pod and begins to run it; Ready waits for it. The pod ends,
// without grace, when ctx does; Stop must be called all the same.
func Start(ctx context.Context, o Options) (*Pod, error) {
	p, err := newPod(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := p.setUp(); err != nil {
		p.cancel()
		p.tearDown()
		return nil, err
	}
	go p.run()
	if q, ok := quotaOf(p.spec); ok {
		p.beside.Go(func() { p.evict(q) })
	}
	if o.Measure != nil {
		go p.measure()
	}
	context.AfterFunc(p.ctx, func() { p.Stop(0) })
	return p, nil
}

// newPod fills in what o leaves open and checks what can be checked before
// anything is made.
func newPod(ctx context.Context, o Options) (*Pod, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Pod{
		o: o, spec: o.Spec.DeepCopy(), uid: podUID(o),
		dir: filepath.Join(o.Dir, o.ID), disk: filepath.Join(o.Disk, o.ID),
		ns: map[string]string{}, volumes: map[string]*volume{},
		stopping: make(chan struct{}), done: make(chan struct{}),
		changed: make(chan struct{}), closed: make(chan struct{}),
	}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.noteUnsupported()
	p.addServiceAccount()
	for i := range p.spec.InitContainers {
		p.all = append(p.all, newContainer(p, app.Init, &p.spec.InitContainers[i]))
	}
	for i := range p.spec.Containers {
		p.all = append(p.all, newContainer(p, app.Normal, &p.spec.Containers[i]))
	}
	return p, nil
}

// withDefaults checks o and fills in its zero values.
func (o Options) withDefaults() (Options, error) {
	if o.Spec == nil || len(o.Spec.Containers) == 0 {
		return o, fmt.Errorf("pod %s has no containers", o.ID)
	}
	if o.ID == "" || len(o.ID) > 60 {
		return o, fmt.Errorf("pod id %q is not of 1 to 60 characters", o.ID)
	}
	for _, d := range []string{o.Dir, o.Disk, o.RuncRoot} {
		if !filepath.IsAbs(d) {
			return o, fmt.Errorf("pod %s: %q is not an absolute path", o.ID, d)
		}
	}
	if o.Meta == nil {
		o.Meta = &metav1.ObjectMeta{}
	}
	o.Name = first(o.Name, o.Meta.Name, o.ID)
	o.Namespace = first(o.Namespace, o.Meta.Namespace, "default")
	if err := errors.Join(checkNames(o), checkUsers(o.Spec)); err != nil {
		return o, fmt.Errorf("pod %s: %w", o.Name, err)
	}
	o.Hostname = first(o.Hostname, o.Spec.Hostname, o.Name)
	o.Hostname = o.Hostname[:min(len(o.Hostname), 63)]
	o.NodeName = first(o.Spec.NodeName, o.NodeName, "road")
	o.Runtime = first(o.Runtime, "runc")
	o.HostProc = first(o.HostProc, "/proc")
	if o.HostPID == nil {
		o.HostPID = func(pid int) (int, error) { return pid, nil }
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return o, nil
}

// first gives the first string that is not empty.
func first(ss ...string) string {
	for _, s := range ss {
		if s != "" {
			return s
		}
	}
	return ""
}

// setUp makes what the containers share: directories, cgroup, namespaces,
// volumes.
func (p *Pod) setUp() error {
	// 0711: a container that runs as another user must be able to pass, and
	// nobody may list.
	for _, d := range []string{p.dir, p.disk, filepath.Join(p.dir, "ns"), filepath.Join(p.disk, "volumes")} {
		if err := os.MkdirAll(d, 0o711); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(p.o.RuncRoot, 0o711); err != nil {
		return err
	}
	if err := p.makeCgroup(); err != nil {
		return err
	}
	if err := p.makeNamespaces(); err != nil {
		return err
	}
	if err := p.writeFiles(); err != nil {
		return err
	}
	if err := p.makeVolumes(); err != nil {
		return err
	}
	return p.startPause()
}

// Notes says what the pod asked for and did not get here, or got in another way.
func (p *Pod) Notes() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.notes...)
}

// note records that something is not as in a cluster; the same text once.
func (p *Pod) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.notes {
		if n == s {
			return
		}
	}
	p.notes = append(p.notes, s)
}

// container finds a container by name; "" is the first normal one.
func (p *Pod) container(name string) (*container, error) {
	for _, c := range p.all {
		if c.spec.Name == name || name == "" && c.kind == app.Normal {
			return c, nil
		}
	}
	return nil, fmt.Errorf("pod %s has no container %q", p.o.Name, name)
}
