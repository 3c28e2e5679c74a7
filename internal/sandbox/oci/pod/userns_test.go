package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/sandbox/oci/world"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// withUsers gives a pod users of its own, until the test ends.
func withUsers(t testing.TB, o Options) Options {
	t.Helper()
	dir := filepath.Join(world.Inside().Run, "users")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	u, err := world.NewUserNS(filepath.Join(dir, o.ID+"-users"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	o.Spec.HostUsers = ptr(false)
	o.UserNS = u
	o.Dial = dialIn(u.Path("net"))
	return o
}

// Root inside is nobody outside: its processes, and what it writes to its own
// layer. What lies on a volume keeps the owner that it has inside.
func TestSandboxUserNS(t *testing.T) {
	need(t)
	spec := volumes()
	spec.Containers[0].Args = []string{":write", "/data/layer", "x", ":write", "/v/empty/x", "x", ":write", "/v/claim/x", "x", ":write", "/v/memory/x", "x", ":sleep", "1m"}
	o, claim := volumeOptions(t, spec)
	o = withUsers(t, o)
	p := launch(t, o)
	ready(t, p)
	base := int(o.UserNS.Base)
	n, err := p.Node("")
	if err != nil {
		t.Fatal(err)
	}
	ps, err := n.Processes()
	if err != nil || len(ps) != 1 || ps[0].UID != base || ps[0].GID != base || base <= 65535 {
		t.Errorf("base %d: %+v, %v", base, ps, err)
	}
	if got := run(t, p, ":cat", "/proc/self/uid_map"); strings.Join(strings.Fields(got), " ") != fmt.Sprintf("0 %d 65536", base) {
		t.Errorf("uid_map %q", got)
	}
	waitFor(t, p, "the last file", func(Status) bool { _, err := n.Stat("/v/memory/x"); return err == nil })
	for name, want := range map[string]int{"/data/layer": base, "/app": base, "/v/empty/x": base, "/v/claim/x": base, "/v/claim/old": base, "/v/memory/x": base, "/v/image/srv/page": base} {
		if f, err := n.Stat(name); err != nil || f.UID != want {
			t.Errorf("in the container's mounts the node sees %s of uid %d, want %d (%v)", name, f.UID, want, err)
		}
	}
	upper := p.container0().current().root.upper
	for name, want := range map[string]int{
		filepath.Join(upper, "data/layer"): base, filepath.Join(claim, "x"): 0, filepath.Join(claim, "old"): 0,
		filepath.Join(p.volumes["empty"].path, "x"): 0, filepath.Join(p.volumes["memory"].path, "x"): 0,
	} {
		st, err := os.Lstat(name)
		if err != nil || int(statT(st).Uid) != want {
			t.Errorf("on the disk %s: %v, want uid %d (%v)", name, st, want, err)
		}
	}
	if w, err := p.Written(""); err != nil || len(w) != 1 || w[0] != "/data" {
		t.Errorf("written: %v, %v", w, err)
	}
}

// Inside, a pod with users of its own is as any other.
func TestSandboxUserNSInside(t *testing.T) {
	need(t)
	spec := volumes()
	spec.SecurityContext = &corev1.PodSecurityContext{FSGroup: ptr(int64(70))}
	o, _ := volumeOptions(t, spec)
	p := launch(t, withUsers(t, o))
	ready(t, p)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{":stat", "/v/empty", "/v/memory", "/v/secret/password", "/v/config/a/mode", "/v/info/labels", "/v/claim/old", "/app", "/etc/hosts", "/dev/termination-log", "/dev/shm", "/v/image/app"},
			"/v/empty 2777 0:70\n/v/memory 3777 0:70\n/v/secret/password 440 0:70\n/v/config/a/mode 640 0:70\n/v/info/labels 644 0:70\n/v/claim/old 660 0:70\n/app 755 0:0\n/etc/hosts 644 0:0\n/dev/termination-log 666 0:0\n/dev/shm 1777 0:0\n/v/image/app 755 0:0"},
		{[]string{":cat", "/v/secret/password", "/etc/mode.conf", "/v/claim/old"}, "hunter2fastkept"},
		{[]string{":write", "/sub/log", "3", ":write", "/etc/hosts", "x", ":write", "/v/host/h", "4", ":write", "/dev/shm/x", "1"},
			"wrote /sub/log\nwrote /etc/hosts\nwrote /v/host/h\nwrote /dev/shm/x"},
		{[]string{":write", "/v/secret/x", "1", ":write", "/ro/x", "1"},
			"write: open /v/secret/x: read-only file system\nwrite: open /ro/x: read-only file system"},
		{[]string{":host"}, p.o.Hostname},
		{[]string{":cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"}, "0"},
	} {
		if got := run(t, p, c.args...); strings.TrimSpace(got) != c.want {
			t.Errorf("%v:\n got %q\nwant %q", c.args, got, c.want)
		}
	}
}

// What an image gives a program, setuid or a file capability, holds in a pod with
// users of its own too, for the pod's own root and network.
func TestSandboxUserNSPrograms(t *testing.T) {
	need(t)
	img := testImage(t, ocispec.ImageConfig{User: "web"}, nil)
	b, err := os.ReadFile(program(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]uint32{"setuid": 0o4755, "capable": 0o755} {
		file := filepath.Join(img.Lowers[0], name)
		if err := os.WriteFile(file, b, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
	}
	netRaw := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // cap_net_raw=ep
	if err := unix.Setxattr(filepath.Join(img.Lowers[0], "capable"), "security.capability", netRaw, 0); err != nil {
		t.Fatal(err)
	}
	p := launch(t, withUsers(t, newOptions(t, img, one(":sleep", "1m"))))
	ready(t, p)
	for program, want := range map[string][2]string{"/app": {"1000 1000", "0000000000000000"}, "/setuid": {"1000 0", "00000000a80425fb"}, "/capable": {"1000 1000", "0000000000002000"}} {
		var out strings.Builder
		if _, err := p.Exec(t.Context(), "", []string{program, ":cat", "/proc/self/status"}, nil, &out, &out); err != nil {
			t.Fatal(err)
		}
		got := permissions(out.String())
		if !strings.HasPrefix(got["Uid"], want[0]) || got["CapEff"] != want[1] {
			t.Errorf("%s: uid %s, capabilities %s, want %v", program, got["Uid"], got["CapEff"], want)
		}
	}
}

// Two pods have different users, and a namespace that is given up leaves nothing.
func TestSandboxUserNSClose(t *testing.T) {
	need(t)
	dir := filepath.Join(world.Inside().Run, "users")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	a, err := world.NewUserNS(filepath.Join(dir, "close-a"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := world.NewUserNS(filepath.Join(dir, "close-b"))
	if err != nil {
		t.Fatal(err)
	}
	if d := int64(a.Base) - int64(b.Base); d > -world.UserNSSize && d < world.UserNSSize {
		t.Errorf("the users of %d and %d overlap", a.Base, b.Base)
	}
	if _, err := world.NewUserNS(filepath.Join(dir, "close-a")); err == nil {
		t.Error("a namespace was made where one is")
	}
	for _, u := range []*world.UserNS{a, b} {
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "close-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if m, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(m), "users/close-") {
		t.Error("mounts are left behind")
	}
}

// A pod must not ask for the host's namespaces beside users of its own, nor for an
// unmasked /proc with the host's users.
func TestUserNSForbids(t *testing.T) {
	for field, spec := range map[string]corev1.PodSpec{"hostNetwork": {HostNetwork: true}, "hostPID": {HostPID: true}, "hostIPC": {HostIPC: true}} {
		if err := checkUsers(&spec); err != nil {
			t.Errorf("%s with the host's users: %v", field, err)
		}
		spec.HostUsers = ptr(false)
		if err := checkUsers(&spec); err == nil || err.Error() != "spec."+field+": Forbidden: when `hostUsers` is false" {
			t.Errorf("%s: %v", field, err)
		}
	}
	for _, c := range []corev1.PodSpec{
		{Containers: []corev1.Container{{Name: "a", SecurityContext: &corev1.SecurityContext{ProcMount: ptr(corev1.UnmaskedProcMount)}}}},
		{InitContainers: []corev1.Container{{Name: "a", SecurityContext: &corev1.SecurityContext{ProcMount: ptr(corev1.UnmaskedProcMount)}}}},
	} {
		if err := checkUsers(&c); err == nil || !strings.HasPrefix(err.Error(), "container a: securityContext.procMount: Invalid value") {
			t.Errorf("Unmasked: %v", err)
		}
		if c.HostUsers = ptr(false); checkUsers(&c) != nil {
			t.Errorf("Unmasked with users of its own: %v", checkUsers(&c))
		}
	}
}
