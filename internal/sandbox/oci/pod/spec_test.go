package pod

import (
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
)

// What a read-only root file system does not hold: facts that the road's
// explanations rest on.
func TestSandboxReadOnlyRoot(t *testing.T) {
	need(t)
	spec := one(":sleep", "1m")
	c := &spec.Containers[0]
	c.SecurityContext = &corev1.SecurityContext{ReadOnlyRootFilesystem: ptr(true)}
	c.WorkingDir = "/not/there"
	img := testImage(t, ocispec.ImageConfig{Volumes: map[string]struct{}{"/cache": {}}}, map[string]string{"cache/warm": "content"})
	p := launch(t, newOptions(t, img, spec))
	ready(t, p)
	for file, writable := range map[string]bool{
		"/x": false, "/run/x": false, "/tmp/x": false, "/etc/x": false, "/etc/resolv.conf": false, "/etc/hostname": false, "/sys/x": false, "/sys/fs/cgroup/x": false, "/proc/sys/kernel/x": false,
		"/etc/hosts": true, "/dev/shm/x": true, "/dev/x": true, "/dev/termination-log": true, "/cache/x": true,
	} {
		if got := run(t, p, ":write", file, "x"); strings.HasPrefix(got, "wrote") != writable {
			t.Errorf("%s", got)
		}
	}
	if got := run(t, p, ":pwd", ":cat", "/cache/warm"); got != "/not/there\ncontent" {
		t.Errorf("working directory and the image's volume: %q", got)
	}
	if got := run(t, p, ":stat", "/dev/termination-log", "/dev/shm", "/tmp", "/home/web"); got != "/dev/termination-log 666 0:0\n/dev/shm 1777 0:0\n/tmp 1777 0:0\n/home/web 755 0:0" {
		t.Errorf("%q", got)
	}
	if w, _ := p.Written(""); len(w) != 0 {
		t.Errorf("written: %v", w)
	}
}

func TestSandboxWritableRoot(t *testing.T) {
	need(t)
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":sleep", "1m")))
	ready(t, p)
	run(t, p, ":write", "/etc/resolv.conf", "x", ":write", "/etc/hosts", "x") // not in the image's root
	if w, _ := p.Written(""); len(w) != 0 {
		t.Errorf("written: %v", w)
	}
	run(t, p, ":write", "/data/gone", "x", ":rm", "/data/gone", ":mkdir", "/home/web/.cache/deep", ":write", "/home/web/.cache/deep/f", "12345", ":write", "/etc/passwd", "x")
	w, err := p.Written("")
	if got := strings.Join(w, " "); err != nil || got != "/data /etc /home/web" {
		t.Errorf("written: %s, %v", got, err)
	}
	if n, err := p.LayerBytes(""); err != nil || n != 6 {
		t.Errorf("%d bytes written, %v", n, err)
	}
}

// Every mount of a container, against what the CRI plugin gives one.
func TestSandboxMounts(t *testing.T) {
	need(t)
	o := newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":sleep", "1m"))
	o.Scratch = diskDir(t)
	p := launch(t, o)
	ready(t, p)
	have := map[string]string{}
	for _, line := range strings.Split(run(t, p, ":mounts"), "\n") {
		f := strings.Fields(line)
		_, after, _ := strings.Cut(line, " - ")
		have[f[4]] = f[5] + " " + strings.Fields(after)[0]
	}
	for path, want := range map[string][]string{
		"/": {"rw", "overlay"}, "/proc": {"nosuid", "nodev", "noexec", "proc"}, "/dev": {"nosuid", "tmpfs"},
		"/dev/pts": {"nosuid", "noexec", "devpts"}, "/dev/mqueue": {"mqueue"}, "/sys": {"ro", "nosuid", "nodev", "noexec", "sysfs"},
		"/dev/shm": {"rw", "nosuid", "nodev", "noexec", "tmpfs"}, "/sys/fs/cgroup": {"ro"}, "/proc/sys": {"ro"},
		"/proc/acpi": {"ro", "tmpfs"}, "/proc/keys": {"tmpfs"}, ProbeDestination: {"ro", "nosuid", "nodev"}, ScratchDestination: {"rw"}, "/etc/hosts": {"rw"}, "/etc/resolv.conf": {"rw"},
	} {
		got, ok := have[path]
		for _, w := range want {
			if !ok || !contains(strings.FieldsFunc(got, func(r rune) bool { return r == ',' || r == ' ' }), w) {
				t.Errorf("%s: %q lacks %s", path, got, w)
			}
		}
	}
	if _, ok := have["/run"]; ok {
		t.Error("/run is a mount: a read-only root would have a hole")
	}
	if got := run(t, p, ":cat", "/etc/resolv.conf", ":cat", "/proc/self/oom_score_adj", "/proc/sys/net/ipv4/ip_unprivileged_port_start"); got != "nameserver 10.96.0.10\n1000\n0" {
		t.Errorf("%q", got)
	}
}

func TestSandboxSharedPID(t *testing.T) {
	need(t)
	spec := one(":sleep", "1m")
	spec.Containers = append(spec.Containers, corev1.Container{Name: "two", Image: "test", Args: []string{":sleep", "2m"}})
	spec.ShareProcessNamespace = ptr(true)
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
	ready(t, p)
	seen := 0
	for _, name := range strings.Split(run(t, p, ":ls", "/proc"), "\n") {
		if name[0] >= '0' && name[0] <= '9' {
			seen++
		}
	}
	if seen != 4 { // pause, two containers, this one
		t.Errorf("%d processes are seen", seen)
	}
}
