package pod

import (
	"strings"
	"testing"
	"time"

	"road/internal/sandbox"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestSandboxNode(t *testing.T) {
	need(t)
	spec := one(":sleep", "1m")
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{User: "web"}, map[string]string{"etc/hostile": "inside"}), spec))
	ready(t, p)
	n, err := p.Node("web")
	if err != nil {
		t.Fatal(err)
	}
	ps, err := n.Processes()
	if err != nil || len(ps) != 1 {
		t.Fatalf("%+v, %v", ps, err)
	}
	got := ps[0]
	if got.PID <= 1 || got.Inside != 1 || got.UID != 1000 || got.GID != 2000 || got.Command != "/app :sleep 1m" || !strings.HasSuffix(got.Exe, "/app") {
		t.Errorf("%+v", got)
	}
	if got.PID == p.container0().current().pid {
		t.Errorf("%d is the world's PID, not the host's", got.PID)
	}
	run(t, p, ":write", "/tmp/mine", "x", ":chmod", "/tmp/mine", "600", ":link", "/etc/hostile", "/tmp/link", ":link", "/../../../etc/hostile", "/tmp/up", ":mkfifo", "/tmp/pipe")
	f, err := n.Stat("/tmp/mine")
	if d := cmp.Diff(sandbox.File{UID: 1000, GID: 2000, Mode: 0o600, Size: 1}, f); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	if f, err := n.Stat("/dev/null"); err != nil || !f.Device {
		t.Errorf("/dev/null: %+v, %v", f, err)
	}
	for _, name := range []string{"/etc/hostile", "/tmp/link", "/tmp/up"} {
		if b, err := n.ReadFile(name, 100); err != nil || string(b) != "inside" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if b, err := n.ReadFile("/etc/hostile", 3); err != nil || string(b) != "ins" {
		t.Errorf("limit: %q, %v", b, err)
	}
	for _, name := range []string{"/tmp/pipe", "/nothing", "/etc"} {
		if b, err := n.ReadFile(name, 100); err == nil {
			t.Errorf("%s: %q and no error", name, b)
		}
	}
	u, err := n.Usage()
	if err != nil || u.Processes < 1 || u.AnonBytes <= 0 || u.CPU <= 0 || u.OOMKills != 0 || u.Full {
		t.Errorf("%+v, %v", u, err)
	}
}

func (p *Pod) container0() *container { return p.all[0] }

func TestSandboxMemoryLimit(t *testing.T) {
	need(t)
	img := testImage(t, ocispec.ImageConfig{}, nil)
	spec := one(":alloc", "200", ":sleep", "1m")
	spec.RestartPolicy = corev1.RestartPolicyNever
	spec.Containers[0].Resources.Limits = quantities("memory", "64Mi")
	p := launch(t, newOptions(t, img, spec))
	err := p.Completed(within(t, 20*time.Second))
	if err == nil || !strings.Contains(err.Error(), "OOMKilled, exit status 137") {
		t.Errorf("%v", err)
	}
	if c := p.Status().Containers[0]; c.Reason != "OOMKilled" || !c.OOMKilled || c.ExitCode != 137 {
		t.Errorf("%+v", c)
	}
	if u, err := p.Usage(); err != nil || u.OOMKills != 1 || !u.Full {
		t.Errorf("%+v, %v", u, err)
	}
	// A child that is killed leaves the container alive and is counted.
	spec = one(":child", "@alloc", "200", ":sleep", "1m")
	spec.Containers[0].Resources.Limits = quantities("memory", "64Mi")
	p = launch(t, newOptions(t, img, spec))
	waitLog(t, p, "child:")
	if got := p.Logs("", 5); !strings.Contains(got, "signal: killed") {
		t.Errorf("%q", got)
	}
	if u, err := p.Usage(); err != nil || u.OOMKills != 1 || !u.Full {
		t.Errorf("%+v, %v", u, err)
	}
	if c := p.Status().Containers[0]; c.Phase != Running {
		t.Errorf("%+v", c)
	}
}

func TestSandboxCPULimit(t *testing.T) {
	need(t)
	spec := one(":spin")
	spec.Containers[0].Resources.Limits = quantities("cpu", "100m")
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
	ready(t, p)
	for range 200 {
		if u, err := p.Usage(); err != nil {
			t.Fatal(err)
		} else if u.Throttled > 3 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("never held back")
}
