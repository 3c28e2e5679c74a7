package image

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree writes files into a new directory; a content that begins with "-> " makes
// a link.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(content) > 3 && content[:3] == "-> " {
			err = os.Symlink(content[3:], file)
		} else {
			err = os.WriteFile(file, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPackages finds the packages that files come from, in the lists of all
// layers, also where a list has the name from before /lib was a link.
func TestPackages(t *testing.T) {
	low := tree(t, map[string]string{
		"var/lib/dpkg/info/libc6:amd64.list": "/.\n/lib\n/lib/x86_64-linux-gnu/libc.so.6\n",
		"var/lib/dpkg/info/dash.list":        "/.\n/usr/bin/dash\n",
		"var/lib/dpkg/info/dash.md5sums":     "0  usr/bin/x\n",
	})
	high := tree(t, map[string]string{"var/lib/dpkg/info/nginx.list": "/usr/sbin/nginx\n/etc/nginx/nginx.conf\n/usr/lib/python3/six.py\n"})
	im := &Image{Lowers: []string{high, low}}
	got, err := im.Packages([]string{"/app/web", "/usr/bin/x", "/usr/lib/x86_64-linux-gnu/libc.so.6", "/usr/sbin/nginx", "/usr/lib/python3/__pycache__/six.cpython-313.opt-1.pyc"})
	want := map[string]string{"/usr/lib/x86_64-linux-gnu/libc.so.6": "libc6", "/usr/sbin/nginx": "nginx",
		"/usr/lib/python3/__pycache__/six.cpython-313.opt-1.pyc": "nginx"}
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v, %v", cmp.Diff(want, got), err)
	}
	if got, err := (&Image{Lowers: []string{tree(t, map[string]string{"web": ""})}}).Packages([]string{"/web"}); got != nil || err != nil {
		t.Errorf("an image without packages: %v, %v; want nil", got, err)
	}
}

// TestAlternatives finds both links of an alternative, of the master as of what
// follows it.
func TestAlternatives(t *testing.T) {
	im := &Image{Lowers: []string{tree(t, map[string]string{
		"var/lib/dpkg/alternatives/libblas": "auto\n/usr/lib/libblas.so.3\nman\n/usr/share/man/blas\n\n/usr/lib/blas/libblas.so.3\n10\n\n\n",
		"var/lib/dpkg/alternatives/awk":     "auto\n/usr/bin/awk\nnawk\n/usr/bin/nawk\n\n/usr/bin/mawk\n5\n/usr/bin/mawk\n\n",
		"etc/alternatives/libblas":          "-> /usr/lib/blas/libblas.so.3",
		"etc/alternatives/awk":              "-> /usr/bin/mawk",
		"etc/alternatives/nawk":             "-> /usr/bin/mawk",
		"usr/lib/blas/libblas.so.3":         "x",
		"usr/bin/mawk":                      "x",
	})}}
	for file, want := range map[string]map[string]string{
		"/usr/lib/blas/libblas.so.3": {"/usr/lib/libblas.so.3": "/usr/lib/blas/libblas.so.3", "/etc/alternatives/libblas": "/usr/lib/blas/libblas.so.3"},
		"/usr/bin/mawk":              {"/usr/bin/awk": "/usr/bin/mawk", "/usr/bin/nawk": "/usr/bin/mawk", "/etc/alternatives/awk": "/usr/bin/mawk", "/etc/alternatives/nawk": "/usr/bin/mawk"},
		"/usr/bin/none":              {},
	} {
		got, err := im.Alternatives([]string{file})
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Errorf("%s: %s, %v", file, d, err)
		}
	}
}
