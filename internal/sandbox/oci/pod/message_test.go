package pod

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

func TestTerminationMessageIsTheEnd(t *testing.T) {
	name := filepath.Join(t.TempDir(), "termination-log")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	// A hole of a terabyte: to read it all would be the end of this process.
	if _, err := f.WriteAt([]byte(strings.Repeat("x", 5000)+"last words\n"), 1<<40); err != nil {
		t.Fatal(err)
	}
	f.Close()
	a := &attempt{message: name, c: &container{spec: &corev1.Container{}}}
	if got := a.readMessage(); len(got) > messageLimit || !strings.HasSuffix(got, "xlast words") {
		t.Errorf("%d bytes, ending in %q", len(got), got[max(0, len(got)-20):])
	}
	if err := os.WriteFile(name, []byte("short\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := a.readMessage(); got != "short" {
		t.Errorf("%q", got)
	}
}

// What a container may write lies on the disk, not on the tmpfs that the bundles
// of all pods need.
func TestSandboxKubeletFilesAreOnDisk(t *testing.T) {
	need(t)
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":sleep", "1m")))
	ready(t, p)
	var disk unix.Stat_t
	if err := unix.Stat(p.disk, &disk); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/termination-log"} {
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join("/proc", pidOf(t, p), "root", name), &st); err != nil || st.Dev != disk.Dev {
			t.Errorf("%s is on device %d, the disk is %d: %v", name, st.Dev, disk.Dev, err)
		}
	}
}

func pidOf(t *testing.T, p *Pod) string {
	t.Helper()
	a, err := p.attempt("")
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(a.pid)
}
