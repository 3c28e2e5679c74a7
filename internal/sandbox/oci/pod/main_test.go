package pod

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"road/internal/image"
	"road/internal/sandbox/oci/world"
	"road/internal/sandbox/sandboxtest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestMain runs the tests inside a world, so that whatever they leave behind goes
// with it. Without root only the tests that need no sandbox can run.
func TestMain(m *testing.M) {
	world.Main()
	if world.Inside() != nil || os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	state, err := os.MkdirTemp("", "road-pod-test-")
	if err != nil {
		panic(err)
	}
	status, err := world.Enter(world.Options{State: state})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	if err := os.RemoveAll(state); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// program is the static program of testdata/app, built once.
var program = func() func(t testing.TB) string {
	var mu sync.Mutex
	var path string
	return func(t testing.TB) string {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if path != "" {
			return path
		}
		dir := filepath.Join(world.Inside().Disk, "program")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("go", "build", "-o", filepath.Join(dir, "app"), "./testdata/app")
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
		path = filepath.Join(dir, "app")
		return path
	}
}()

// passwd and group are those of every test image.
const (
	passwd = "root:x:0:0:root:/root:/app\nweb:x:1000:2000:web:/home/web:/app\nnogrp:x:1001:1001::/:/app\n"
	group  = "root:x:0:\nweb:x:2000:\nextra:x:3000:web,nogrp\nmore:x:3001:web\nown:x:1001:\n"
)

// testImage makes a layer that holds the program as /app, and files.
func testImage(t testing.TB, config ocispec.ImageConfig, files map[string]string) *image.Image {
	t.Helper()
	dir := diskDir(t)
	for _, d := range []string{"etc", "tmp", "data", "home/web", "var/run", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky)
	os.Remove(filepath.Join(dir, "var/run"))
	if err := os.Symlink("/run", filepath.Join(dir, "var/run")); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"etc/passwd": passwd, "etc/group": group}
	for k, v := range files {
		all[k] = v
	}
	for name, text := range all {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := writeFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(program(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(dir, "app"), b, 0o755); err != nil {
		t.Fatal(err)
	}
	if config.Entrypoint == nil {
		config.Entrypoint = []string{"/app"}
	}
	return &image.Image{Ref: "test", Lowers: []string{dir}, Config: config}
}

var dirs atomic.Int64

// diskDir is a directory of the test's own on the world's disk. t.TempDir would
// do, but its parents keep other users out.
func diskDir(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(world.Inside().Disk, fmt.Sprintf("t%d", dirs.Add(1)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// newOptions are those of a pod whose image "test" is img.
func newOptions(t testing.TB, img *image.Image, spec *corev1.PodSpec) Options {
	t.Helper()
	w := world.Inside()
	n := dirs.Add(1)
	id := fmt.Sprintf("pod-%d", n)
	return Options{
		ID: id, Name: "web-0", Namespace: "shop", IP: "127.0.0.1",
		Meta: &metav1.ObjectMeta{Labels: map[string]string{"app": "web"}, UID: "11111111-2222-4333-8444-555555555555"},
		Spec: spec, Images: map[string]*image.Image{"test": img},
		ResolvConf: "nameserver 10.96.0.10\n",
		Dir:        filepath.Join(w.Run, "pods"), Disk: filepath.Join(w.Disk, "pods"),
		CgroupParent: w.Node, RuncRoot: filepath.Join(w.Run, "runc"), HostProc: w.HostProc, HostPID: w.HostPID,
		ProbePath: program(t),
		Dial:      dialIn(filepath.Join(w.Run, "pods", id, "ns", "net")), // the node reaches every pod
	}
}

// one is a pod spec with one container that runs the program with args.
func one(args ...string) *corev1.PodSpec {
	return &corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: "test", Args: args}}}
}

// launch starts a pod and stops it at the end of the test, when nothing of it
// may be left.
func launch(t testing.TB, o Options) *Pod {
	t.Helper()
	p, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(0); err != nil {
			t.Errorf("stop: %v", err)
		}
		checkGone(t, p)
	})
	return p
}

// checkGone fails if anything of a stopped pod is left.
func checkGone(t testing.TB, p *Pod) {
	t.Helper()
	for _, pattern := range []string{p.dir, p.disk, p.cgroup.dir("memory"), filepath.Join(p.o.RuncRoot, p.o.ID+".*")} {
		if left, _ := filepath.Glob(pattern); left != nil {
			t.Errorf("left behind: %v", left)
		}
	}
	b, _ := os.ReadFile("/proc/self/mountinfo")
	if strings.Contains(string(b), p.o.ID+"/") {
		t.Errorf("mounts left behind below %s", p.o.ID)
	}
}

// dialIn connects from inside a network namespace.
func dialIn(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		type result struct {
			c   net.Conn
			err error
		}
		ch := make(chan result, 1)
		go func() {
			runtime.LockOSThread()
			fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err == nil {
				defer unix.Close(fd)
				err = unix.Setns(fd, unix.CLONE_NEWNET)
			}
			if err != nil {
				ch <- result{nil, err}
				return
			}
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			ch <- result{c, err}
		}()
		r := <-ch
		return r.c, r.err
	}
}

func within(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// ready waits for a pod that must get ready.
func ready(t testing.TB, p *Pod) {
	t.Helper()
	if err := p.Ready(within(t, 20*time.Second)); err != nil {
		t.Fatalf("%v\n%s", err, p.Logs("", 30))
	}
}

// run runs the program in the first container and gives what it printed.
func run(t testing.TB, p *Pod, args ...string) string {
	t.Helper()
	var b strings.Builder
	if _, err := p.Exec(t.Context(), "", append([]string{"/app"}, args...), nil, &b, io.Discard); err != nil {
		t.Fatalf("exec %v: %v", args, err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func need(t testing.TB) {
	t.Helper()
	sandboxtest.Need(t, "runc", "go")
}

func ptr[T any](v T) *T { return &v }

func read(t testing.TB, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Error(err)
	}
	return string(b)
}
