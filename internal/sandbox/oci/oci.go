// Package oci is the embedded engine: it runs applications on this host with an
// OCI runtime (runc), as the kubelet and containerd would run them on a node,
// without a daemon, a registry or a cluster.
//
// It only puts the parts together: world (the namespaces that everything lives
// in), network (the router, services, DNS), pod (a PodSpec on runc) and image
// (BuildKit, registries, bases from packages).
package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"road/internal/admission"
	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"
	"road/internal/sandbox/oci/standin"
	"road/internal/sandbox/oci/world"

	"golang.org/x/sys/unix"
)

// Main takes over a process that the engine started for itself, and does not
// return then. It must be called before anything else in main and in TestMain.
func Main() {
	image.Main()
	world.Main()
}

// Options change how the engine works. The zero value is right.
type Options struct {
	Runtime string // OCI runtime on PATH; "" is runc
	Probe   string // the road-probe program; "" is the one beside this program

	Admission string // the road-admission program; "" is the one beside this program

	// Registry is where Publish pushes images that are built here: a registry's
	// name, with folders behind it perhaps, or app.InProcess; "" is what the
	// application's road.yaml says.
	Registry string

	// Target says where cluster DNS is.
	Target app.Target

	// Waiting is told, once, of what keeps the engine from starting; it may be nil.
	Waiting func(what string)
}

// engine implements sandbox.Engine inside a world.
type engine struct {
	o      Options
	w      *world.World
	net    *network.Network
	store  *image.Store
	hub    *hub
	issuer *issuer
	info   sandbox.Info

	mu       sync.Mutex
	serial   int
	prepared map[*app.App]map[string]*image.Image // by Image.Ref
	first    map[string]*image.Image              // by image name: as it was prepared first
	built    map[string]*image.Image              // by buildKey
	outside  outside                              // what stands in for what applications call
	attacker *network.Endpoint
	around   map[sandbox.StandIn]*standin.Server
	baseline *baseline        // of the probe
	judged   *admission.Judge // nil until somebody asks
}

var _ sandbox.Engine = (*engine)(nil)

// New starts the engine. The process must live in a world; see Enter.
func New(ctx context.Context, o Options) (sandbox.Engine, error) {
	w := world.Inside()
	if w == nil {
		return nil, errors.New("the engine was started outside of a world")
	}
	if o.Runtime == "" {
		o.Runtime = "runc"
	}
	version, err := runtimeVersion(ctx, o.Runtime)
	if err != nil {
		return nil, err
	}
	if o.Probe, err = findProbe(o.Probe); err != nil {
		return nil, err
	}
	if o.Probe, err = installProbe(o.Probe, w.Run); err != nil {
		return nil, err
	}
	e := &engine{o: o, w: w, prepared: map[*app.App]map[string]*image.Image{}, first: map[string]*image.Image{}, built: map[string]*image.Image{}, baseline: &baseline{}}
	e.info = sandbox.Info{Name: "oci", Runtime: version, Kernel: kernelVersion(), Lacks: map[sandbox.Power]string{}, Memory: w.Memory()}
	users := make(chan error, 1)
	go func() { users <- e.proveUsers(ctx) }() // beside the network, which takes as long
	if e.issuer, err = newIssuer(); err != nil {
		return nil, err
	}
	if e.net, err = network.New(w, network.Options{DNS: o.Target.DNS()}); err != nil {
		return nil, fmt.Errorf("set up the network: %w", err)
	}
	if err = e.surround(ctx); err != nil {
		return nil, errors.Join(err, e.net.Close())
	}
	if err := e.net.ProvePolicies(ctx); err != nil {
		e.info.Lacks[sandbox.NetworkPolicy] = err.Error()
	}
	if w.AuditFault != "" { // whether records come at all shows once some are wanted: to try makes some
		e.info.Lacks[sandbox.Audit] = w.AuditFault
	}
	if err := <-users; err != nil {
		e.info.Lacks[sandbox.UserNamespaces] = err.Error()
	}
	e.store, err = image.Open(image.Options{Dir: w.State, CgroupParent: w.Cgroup + "/build", Dial: w.DialHost,
		Waiting: waiting(ctx, o.Waiting)})
	if err != nil {
		return nil, errors.Join(err, e.net.Close())
	}
	e.hub = &hub{Hub: e.store.NewHub(), busy: map[string]chan struct{}{}}
	return e, nil
}

// waiting gives what is to be called while the image store is closed to all: after
// a second it tells of that, once.
func waiting(ctx context.Context, tell func(what string)) func() error {
	begun := time.Now()
	return func() error {
		if tell != nil && time.Since(begun) > time.Second {
			tell("waiting for road prune, which empties the image store")
			tell = nil
		}
		return ctx.Err()
	}
}

// Info says what the engine is.
func (e *engine) Info() sandbox.Info { return e.info }

// Close ends everything that the engine started. The world takes away whatever
// is left.
func (e *engine) Close() error {
	errs := []error{e.store.Close(), e.outside.close()}
	for _, s := range e.around {
		errs = append(errs, s.Close())
	}
	if e.judged != nil {
		errs = append(errs, e.judged.Close())
	}
	return errors.Join(append(errs, e.net.Close())...)
}

// next gives a number that no pod of this engine has had.
func (e *engine) next() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.serial++
	return e.serial
}

// runtimeVersion gives "runc 1.1.5" from the first line of runc --version.
func runtimeVersion(ctx context.Context, name string) (string, error) {
	if _, err := exec.LookPath(name); err != nil {
		hint := "apt-get install runc"
		if name != "runc" {
			hint = "install " + name + ", or leave --runtime out for runc"
		}
		return "", &sandbox.HostError{Err: fmt.Errorf("no OCI runtime: %w", err), Hint: hint}
	}
	out, err := exec.CommandContext(ctx, name, "--version").Output()
	if err != nil {
		return "", &sandbox.HostError{Err: fmt.Errorf("%s --version: %w", name, err)}
	}
	line, _, _ := strings.Cut(string(out), "\n")
	f := strings.Fields(line)
	if len(f) == 0 {
		return filepath.Base(name), nil
	}
	version, _, _ := strings.Cut(f[len(f)-1], "+") // what the distribution adds
	return filepath.Base(name) + " " + version, nil
}

// kernelVersion gives "6.18".
func kernelVersion() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	parts := strings.SplitN(unix.ByteSliceToString(u.Release[:]), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// findProbe gives the path of the probe, and fails where it is not a program.
func findProbe(name string) (string, error) {
	if name == "" {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		name = filepath.Join(filepath.Dir(self), "road-probe")
	}
	if s, err := os.Stat(name); err != nil || s.Mode()&0o111 == 0 {
		return "", &sandbox.HostError{Err: fmt.Errorf("the probe is missing: %s", name), Hint: "build all programs into one folder: make build, or go build -o bin/ ./cmd/..."}
	}
	return name, nil
}

// installProbe copies the probe to dir, where every user of a container can start
// it however the host keeps its own (umask 077, noexec, below /root), and where
// nothing that a container does to it reaches the host's.
func installProbe(name, dir string) (string, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	installed := filepath.Join(dir, "road-probe")
	fresh := installed + ".new"
	if err := os.WriteFile(fresh, b, 0o755); err != nil {
		return "", err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return "", err
	}
	return installed, os.Rename(fresh, installed) // one that runs cannot be written
}

// Prepare builds or pulls every image, several at once.
func (e *engine) Prepare(ctx context.Context, a *app.App, progress sandbox.Progress) (map[string]app.ImageFacts, error) {
	if progress == nil {
		progress = func(string) {}
	}
	all := slices.Concat(e.clients(a), a.Images, e.unprepared(a.StandIns))
	images := make([]*image.Image, len(all))
	errs := make([]error, len(all))
	var wg sync.WaitGroup
	for i, im := range all {
		wg.Go(func() { images[i], errs[i] = e.image(ctx, a, im, progress) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	facts := map[string]app.ImageFacts{}
	byRef := map[string]*image.Image{}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, im := range all {
		if e.first[im.Name] == nil {
			e.first[im.Name] = images[i]
		}
	}
	for i, im := range all {
		if slices.Contains(a.Images, im) {
			facts[im.Ref], byRef[im.Ref] = images[i].Facts, images[i]
		}
	}
	e.prepared[a] = byRef
	return facts, nil
}

// clients gives the images of a that programs of its checks run in and that hold
// less than they were built with, as they were before that: a client is not what
// is hardened. Those that were prepared before are used as they were.
func (e *engine) clients(a *app.App) []*app.Image {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []*app.Image
	for _, im := range a.Images {
		runs := slices.ContainsFunc(a.Config.Checks, func(c app.Check) bool { return c.Pod != nil && c.Pod.Image == im.Name })
		if !runs || im.Build == nil || e.first[im.Name] != nil || slices.ContainsFunc(out, func(o *app.Image) bool { return o.Name == im.Name }) {
			continue
		}
		if whole := im.Build.Dockerfile.Before(im.Build.Dockerfile.Final(im.Build.Target)); whole != nil && whole.Name != "" {
			client, build := *im, *im.Build
			build.Target = whole.Name
			client.Build = &build
			out = append(out, &client)
		}
	}
	return out
}

func (e *engine) image(ctx context.Context, a *app.App, im *app.Image, progress sandbox.Progress) (*image.Image, error) {
	if im.Archive != "" {
		return e.store.Archive(ctx, im.Ref, a.Root, im.Archive, progress)
	}
	if im.Build != nil && !strings.Contains(im.Ref, "@") { // a digest says what is run, whatever PATH would build
		return e.build(ctx, a, im, progress)
	}
	return e.store.Pull(ctx, im.Ref, progress)
}
