package image

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/sandbox/sandboxtest"
)

// sharedStore is the store of this machine, so that bases are made once.
func sharedStore(t *testing.T) *Store {
	t.Helper()
	dir := os.Getenv("ROAD_STATE")
	if dir == "" {
		dir = "/var/lib/road"
	}
	s, err := Open(Options{Dir: filepath.Join(dir, "images"), CgroupParent: "/road-image-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// writeBuild makes a folder with files and the build of its Dockerfile.
func writeBuild(t *testing.T, content string, files map[string]string) (root string, b *app.Build) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, "web", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root, &app.Build{Context: "web", Dockerfile: &app.Dockerfile{File: "web/Dockerfile", Content: []byte(content)}}
}

func TestSandboxBuild(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	s := sharedStore(t)
	root, b := writeBuild(t, `# syntax=docker/dockerfile:1
ARG BASE=debian
FROM ${BASE}:trixie-slim
RUN apt-get update && apt-get install -y --no-install-recommends hello && useradd -u 4321 -m web
COPY --chown=web file /srv/data/file
WORKDIR /srv/data
VOLUME /srv/data
USER web
EXPOSE 8080 53/udp
ENV A=b
ENTRYPOINT ["/usr/bin/hello"]
`, map[string]string{"file": "content", "Dockerfile": "FROM scratch\nRUN the file on disk is not what is built\n", "other": "not copied"})
	for range 2 {
		start := time.Now()
		img, err := s.Build(context.Background(), "example.org/web:1", root, b, func(l string) { t.Log(l) })
		if err != nil {
			t.Fatal(err)
		}
		t.Log(time.Since(start), img.Lowers, img.Facts)
		if got, err := layers(img.Lowers).read("/srv/data/file", 100); err != nil || string(got) != "content" {
			t.Errorf("file: %q, %v", got, err)
		}
	}
}

func hasLine(lines []string, part string) bool {
	for _, l := range lines {
		if strings.Contains(l, part) {
			return true
		}
	}
	return false
}
