package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"road/demo"
	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"
	"road/internal/sandbox/oci"
	"road/internal/sandbox/oci/world"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// onePod is the demo's web server in a pod of its own. Nothing has to be ready
// but the server: /healthz asks nobody else. Without a probe a pod would have to
// live for a while until it counts as ready.
const onePod = `apiVersion: v1
kind: Pod
metadata:
  name: one
  labels: {app: one}
spec:
  containers:
  - name: web
    image: one:1
    env:
    - {name: REDIS_ADDR, value: "127.0.0.1:6379"}
    - {name: REDIS_PASSWD, value: none}
    readinessProbe: {httpGet: {path: /healthz, port: 8080}}
---
apiVersion: v1
kind: Service
metadata:
  name: one
spec:
  selector: {app: one}
  ports:
  - port: 8080
`

const oneConfig = "apiVersion: road/v1\nmanifests: [manifests]\nimages:\n  one: app\n"

// again is how long is waited before the next try to reach a server that starts.
const again = time.Millisecond

// start measures how long a pod takes from the call of Deploy to the answer of its
// server, against runc run of the same image with nothing around it: the same
// layers, a bundle that lies ready, the network of this process.
func start(ctx context.Context, e sandbox.Engine, o options) (err error) {
	scratch, err := oci.Scratch()
	if err != nil {
		return err
	}
	a, err := onePodApp(filepath.Join(scratch, "bench-one"))
	if err != nil {
		return err
	}
	b, err := newBundle(ctx, a, filepath.Join(scratch, "bench-bundle"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	var pods, deployed, ready, bare, ratios []float64
	for i := range o.pairs + 1 {
		p, err := podOnce(ctx, e, a)
		if err != nil {
			return fmt.Errorf("the pod: %w", err)
		}
		r, err := b.runOnce(ctx, i)
		if err != nil {
			return fmt.Errorf("runc run: %w", err)
		}
		if i == 0 {
			continue // files come from the disk
		}
		pods, deployed, ready = append(pods, p.answered.Seconds()), append(deployed, p.deployed.Seconds()), append(ready, p.ready.Seconds())
		bare, ratios = append(bare, r.Seconds()), append(ratios, p.answered.Seconds()/r.Seconds())
	}
	ratio("start: one-container pod, against bare runc run", ratios, goal{most: 2},
		fmt.Sprintf("%.0f ms the pod (created after %.0f, ready after %.0f), %.0f ms runc", 1000*median(pods), 1000*median(deployed), 1000*median(ready), 1000*median(bare)))
	return nil
}

// onePodApp lays the application of one pod out in root and loads it.
func onePodApp(root string) (*app.App, error) {
	if err := demo.Extract(root); err != nil {
		return nil, err
	}
	manifests := filepath.Join(root, "manifests")
	if err := errors.Join(os.RemoveAll(manifests), os.RemoveAll(filepath.Join(root, "redis")), os.Mkdir(manifests, 0o755)); err != nil {
		return nil, err
	}
	err := errors.Join(os.WriteFile(filepath.Join(manifests, "one.yaml"), []byte(onePod), 0o644), os.WriteFile(filepath.Join(root, app.FileName), []byte(oneConfig), 0o644))
	if err != nil {
		return nil, err
	}
	a, err := app.Load(root)
	if err != nil {
		return nil, err
	}
	for _, p := range a.Problems {
		err = errors.Join(err, p)
	}
	if len(a.Workloads) != 1 || len(a.Images) != 1 || a.Images[0].Build == nil {
		err = errors.Join(err, fmt.Errorf("%d workloads, %d images: want one that is built here", len(a.Workloads), len(a.Images)))
	}
	return a, err
}

// podTimes are since the call of Deploy.
type podTimes struct{ deployed, ready, answered time.Duration }

// podOnce starts the pod once. Its image is prepared before, and it is stopped
// after what is measured.
func podOnce(ctx context.Context, e sandbox.Engine, a *app.App) (t podTimes, err error) {
	if _, err := e.Prepare(ctx, a, nil); err != nil {
		return t, err
	}
	begun := time.Now()
	d, err := e.Deploy(ctx, a, sandbox.DeployOptions{})
	if err != nil {
		return t, err
	}
	t.deployed = time.Since(begun)
	defer func() { err = errors.Join(err, d.Stop(context.Background())) }()
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := d.Ready(limit); err != nil {
		return t, err
	}
	t.ready = time.Since(begun)
	c, err := d.Client(limit, sandbox.ClientOptions{Service: "one"})
	if err != nil {
		return t, err
	}
	defer c.Close()
	if err := answers(limit, c.DialContext, "one:8080"); err != nil {
		return t, err
	}
	t.answered = time.Since(begun)
	return t, nil
}

// answers waits until the server at addr does.
func answers(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), addr string) error {
	web := &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}
	for {
		err := get(ctx, web, "http://"+addr+"/healthz")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(again):
		}
	}
}

// A bundle is what runc runs.
type bundle struct {
	dir   string
	store *image.Store
	addr  string
}

// newBundle mounts the image of a and writes the runtime's own default settings
// for it, but for the program and the network. Everything lies in dir, and the
// mount goes with this process's world at the latest.
func newBundle(ctx context.Context, a *app.App, dir string) (b *bundle, err error) {
	w := world.Inside()
	b = &bundle{dir: dir, addr: "127.0.0.1:18080"}
	b.store, err = image.Open(image.Options{Dir: w.State, CgroupParent: w.Cgroup + "/build", Dial: w.DialHost})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	im := a.Images[0]
	img, err := b.store.Build(ctx, im.Ref, a.Root, im.Build, nil)
	if err != nil {
		return nil, err
	}
	for _, d := range []string{"rootfs", "upper", "work", "state"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(img.Lowers, ":"), filepath.Join(dir, "upper"), filepath.Join(dir, "work"))
	if err := unix.Mount("overlay", b.rootfs(), "overlay", 0, layers); err != nil {
		return nil, fmt.Errorf("mount the image: %w", err)
	}
	return b, b.configure(ctx, img, w.Cgroup+"/bench")
}

func (b *bundle) rootfs() string { return filepath.Join(b.dir, "rootfs") }

// configure writes config.json.
func (b *bundle) configure(ctx context.Context, img *image.Image, cgroup string) error {
	if out, err := exec.CommandContext(ctx, "runc", "spec", "--bundle", b.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("runc spec: %w: %s", err, out)
	}
	name := filepath.Join(b.dir, "config.json")
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var s specs.Spec
	if err := json.Unmarshal(content, &s); err != nil {
		return fmt.Errorf("runc spec: %w", err)
	}
	s.Root.Readonly = false
	s.Process.Terminal = false
	s.Process.Args = append(append([]string{}, img.Config.Entrypoint...), img.Config.Cmd...)
	s.Process.Env = append(append([]string{}, img.Config.Env...), "REDIS_ADDR=127.0.0.1:6379", "REDIS_PASSWD=none", "LISTEN="+b.addr)
	s.Process.Cwd = img.Config.WorkingDir
	s.Linux.CgroupsPath = cgroup
	var kept []specs.LinuxNamespace
	for _, n := range s.Linux.Namespaces {
		if n.Type != specs.NetworkNamespace {
			kept = append(kept, n)
		}
	}
	s.Linux.Namespaces = kept
	content, err = json.Marshal(&s)
	if err != nil {
		return err
	}
	return os.WriteFile(name, content, 0o644)
}

// runOnce runs the container until its server has answered.
func (b *bundle) runOnce(ctx context.Context, n int) (time.Duration, error) {
	limit, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.Command("runc", "--root", filepath.Join(b.dir, "state"), "run", "--bundle", b.dir, "bench-"+strconv.Itoa(n))
	cmd.Stdout, cmd.Stderr = &said, &said
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	err := answers(limit, new(net.Dialer).DialContext, b.addr)
	took := time.Since(begun)
	// runc passes the signal on, which the server obeys. What it says of a process
	// that has ended already is of no interest: err says why.
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if ended := cmd.Wait(); err == nil && ended != nil {
		err = ended
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return took, nil
}

func (b *bundle) close() error {
	err := unix.Unmount(b.rootfs(), 0)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		err = nil // it was never mounted
	}
	return errors.Join(err, b.store.Close())
}
