package oci

import (
	"os"
	"path/filepath"
	"testing"

	"road/internal/app"
)

// A build is known again in another copy of its folder, and not where anything
// differs that it may depend on.
func TestBuildKey(t *testing.T) {
	root := t.TempDir()
	first, second := filepath.Join(root, "a"), filepath.Join(root, "b")
	for _, dir := range []string{first, second} {
		if err := os.MkdirAll(filepath.Join(dir, "app"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, first, "app/main.go", "package main")
	file := filepath.Join(second, "app", "main.go")
	if err := os.Link(filepath.Join(first, "app", "main.go"), file); err != nil {
		t.Fatal(err)
	}
	b := &app.Build{Context: "app", Dockerfile: &app.Dockerfile{File: "app/Dockerfile", Content: []byte("FROM scratch")}}
	key := func(root string, b *app.Build) string {
		k, err := buildKey(root, b)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	same := key(first, b)
	if key(second, b) != same {
		t.Error("a copy that shares the files is another build")
	}
	other := *b
	other.Args = map[string]string{"VERSION": "2"}
	if key(second, &other) == same {
		t.Error("an argument makes no difference")
	}
	other = *b
	other.Dockerfile = &app.Dockerfile{File: "app/Dockerfile", Content: []byte("FROM busybox")}
	if key(second, &other) == same {
		t.Error("the Dockerfile makes no difference")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write(t, second, "app/main.go", "package main")
	if key(second, b) == same {
		t.Error("a file that was replaced makes no difference")
	}
}
