package pod

import (
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// fsGroup is given to what lies in the volume, with its other bits kept, and to
// nothing that a link in it leads to, even one that was a directory just now.
func TestSandboxOwnStaysInTheVolume(t *testing.T) {
	need(t)
	outside, inside := t.TempDir(), t.TempDir()
	file := func(dir, name string, mode os.FileMode) string {
		full := filepath.Join(dir, name)
		if err := os.WriteFile(full, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(full, mode); err != nil {
			t.Fatal(err)
		}
		return full
	}
	secret := file(outside, "shadow", 0o600)
	suid := file(inside, "su", 0o711|os.ModeSetuid)
	odd := file(inside, "odd-\xff-name", 0o600)
	if err := os.Symlink(outside, filepath.Join(inside, "dir")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(inside, "link")); err != nil {
		t.Fatal(err)
	}
	p := &Pod{spec: &corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{FSGroup: ptr(int64(70))}}}
	if err := p.own(&volume{path: inside}, false); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(inside)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	// As the walk would ask it, had "dir" been a directory when it was listed.
	for _, name := range []string{"dir/shadow", "link"} {
		ownOne(root, name, 70, 0o660) // may refuse, or change the link itself
	}
	for name, want := range map[string]struct {
		gid  uint32
		mode os.FileMode
	}{
		secret: {0, 0o600}, outside: {0, 0o755 | os.ModeDir},
		suid: {70, 0o771 | os.ModeSetuid}, odd: {70, 0o660}, inside: {70, 0o775 | os.ModeDir | os.ModeSetgid},
	} {
		st, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if st.Mode() != want.mode || statT(st).Gid != want.gid {
			t.Errorf("%q is %v of group %d, want %v of %d", name, st.Mode(), statT(st).Gid, want.mode, want.gid)
		}
	}
}
