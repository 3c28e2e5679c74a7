package image

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// TestPrograms counts what can be run by name: programs, and links to them where
// they are looked for; not libraries, data, or what a higher layer took away.
func TestPrograms(t *testing.T) {
	low, high := t.TempDir(), t.TempDir()
	put := func(dir, name string, mode os.FileMode) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, nil, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	put(low, "usr/bin/busybox", 0o755)
	put(low, "usr/lib/libx.so.1.2", 0o755)
	put(low, "usr/lib/helper", 0o755)
	put(low, "etc/passwd", 0o644)
	if err := os.Mkdir(filepath.Join(low, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"usr/bin/ls": "busybox", "usr/bin/gone": "nowhere", "etc/link": "/usr/bin/busybox", "bin": "usr/bin",
		"app.log": "/dev/stdout", "dev/stdout": "/proc/self/fd/1"} {
		if err := os.Symlink(to, filepath.Join(low, from)); err != nil {
			t.Fatal(err)
		}
	}
	put(high, "app/web", 0o775)
	c := census{file: filepath.Join(t.TempDir(), "census.json")}
	p, err := c.of("one", layers{high, low})
	if want := (programs{4, "/usr/bin/busybox", []string{"/app.log"}}); err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, %v; want %+v: busybox, ls, helper and web", p, err, want)
	}
	if p, err := c.of("two", layers{high}); err != nil || !reflect.DeepEqual(p, programs{Count: 1}) {
		t.Errorf("an image with one program: %+v, %v", p, err)
	}
	again := census{file: c.file}
	if p, err := again.of("one", nil); err != nil || p.Count != 4 {
		t.Errorf("what was counted is forgotten: %+v, %v", p, err)
	}
}
