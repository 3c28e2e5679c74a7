package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestArchive has an image come from a file of PATH, never from a Dockerfile
// that is called like it.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"pod.yaml": pod, "web/Dockerfile": "FROM scratch\n", "images/web.tar": "",
		"road.yaml": "apiVersion: road/v1\nimages:\n  web: {archive: images/web.tar}\n  db: {archive: images/db.tar}\n  out: {archive: out/web.tar}\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	a, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if i := a.Images[0]; i.Name != "web" || i.Build != nil || i.Archive != "images/web.tar" {
		t.Errorf("%+v", i)
	}
	if len(a.Problems) != 2 || !strings.Contains(a.Problems[0].Error(), "road.yaml:4: image db: images/db.tar: no such file") ||
		!strings.Contains(a.Problems[1].Error(), "road.yaml:5: image out: out/web.tar: ") {
		t.Errorf("%v", a.Problems)
	}
	for _, bad := range []string{"{archive: ../web.tar}", "{archive: web.tar, target: x}"} {
		if _, err := LoadFiles("x", map[string][]byte{"road.yaml": []byte("apiVersion: road/v1\nimages:\n  web: " + bad + "\n")}); err == nil || !strings.Contains(err.Error(), "road.yaml:3: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
