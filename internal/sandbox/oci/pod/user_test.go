package pod

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

func TestSetUser(t *testing.T) {
	full, empty := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(full, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"passwd": passwd, "group": group} {
		if err := os.WriteFile(filepath.Join(full, "etc", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	strict := corev1.SupplementalGroupsPolicyStrict
	id := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name     string
		image    string
		sc       corev1.SecurityContext
		pod      corev1.PodSecurityContext
		scratch  bool
		uid, gid uint32
		groups   []uint32
	}{
		{name: "no USER", groups: []uint32{0}},
		{name: "name", image: "web", uid: 1000, gid: 2000, groups: []uint32{2000, 3000, 3001}},
		{name: "name and group: the group is lost", image: "web:extra", uid: 1000, gid: 2000, groups: []uint32{2000, 3000, 3001}},
		{name: "number in passwd", image: "1000", uid: 1000, gid: 2000, groups: []uint32{2000, 3000, 3001}},
		{name: "number and group: the group is lost", image: "1000:4000", uid: 1000, gid: 2000, groups: []uint32{2000, 3000, 3001}},
		{name: "number that passwd lacks", image: "5678:7", uid: 5678, groups: []uint32{0}},
		{name: "number in an empty image", image: "5678", scratch: true, uid: 5678, groups: []uint32{0}},
		{name: "runAsUser over USER", image: "web", sc: corev1.SecurityContext{RunAsUser: id(1234)}, uid: 1234, groups: []uint32{0}},
		{name: "runAsUser and runAsGroup", image: "web", sc: corev1.SecurityContext{RunAsUser: id(1234), RunAsGroup: id(4444)}, uid: 1234, gid: 4444, groups: []uint32{4444}},
		{name: "runAsGroup alone", image: "web", sc: corev1.SecurityContext{RunAsGroup: id(9)}, uid: 1000, gid: 9, groups: []uint32{9, 3000, 3001}},
		{name: "pod's user", pod: corev1.PodSecurityContext{RunAsUser: id(1001)}, uid: 1001, gid: 1001, groups: []uint32{1001, 3000}},
		{name: "fsGroup and supplementalGroups", image: "5678", pod: corev1.PodSecurityContext{FSGroup: id(70), SupplementalGroups: []int64{71, 70}}, uid: 5678, groups: []uint32{0, 70, 71}},
		{name: "merge", image: "web", pod: corev1.PodSecurityContext{FSGroup: id(70)}, uid: 1000, gid: 2000, groups: []uint32{2000, 3000, 3001, 70}},
		{name: "strict", image: "web", pod: corev1.PodSecurityContext{FSGroup: id(70), SupplementalGroupsPolicy: &strict}, uid: 1000, gid: 2000, groups: []uint32{2000, 70}},
	} {
		root := full
		if c.scratch {
			root = empty
		}
		s := &specs.Spec{Root: &specs.Root{Path: root}, Process: &specs.Process{}, Linux: &specs.Linux{}}
		if err := setUser(t.Context(), s, &c.pod, &corev1.Container{SecurityContext: &c.sc}, c.image); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		u := s.Process.User
		if u.UID != c.uid || u.GID != c.gid || cmp.Diff(c.groups, u.AdditionalGids) != "" {
			t.Errorf("%s: got %d:%d %v, want %d:%d %v", c.name, u.UID, u.GID, u.AdditionalGids, c.uid, c.gid, c.groups)
		}
	}
	s := &specs.Spec{Root: &specs.Root{Path: full}, Process: &specs.Process{}, Linux: &specs.Linux{}}
	if err := setUser(t.Context(), s, nil, &corev1.Container{}, "nobody"); err == nil {
		t.Error("a name that /etc/passwd lacks: no error")
	}
}

// An image may hold a pipe in the place of a file; nobody ever writes into it.
func TestSetUserDoesNotWaitForAPipe(t *testing.T) {
	for _, name := range []string{"passwd", "group"} {
		root := t.TempDir()
		if err := os.MkdirAll(filepath.Join(root, "usr/etc"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/usr/etc", filepath.Join(root, "etc")); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mkfifo(filepath.Join(root, "usr/etc", name), 0o644); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			s := &specs.Spec{Root: &specs.Root{Path: root}, Process: &specs.Process{}, Linux: &specs.Linux{}}
			done <- setUser(t.Context(), s, nil, &corev1.Container{}, "1000")
		}()
		select {
		case err := <-done:
			if err == nil {
				t.Errorf("%s: no error", name)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: still waiting", name)
		}
	}
}
