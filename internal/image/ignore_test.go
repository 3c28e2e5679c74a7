package image

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"road/internal/app"

	"golang.org/x/sys/unix"
)

// The ignore file is taken along where it is a file; a pipe in its place is passed
// by, since nobody would ever write into it.
func TestIgnoreFile(t *testing.T) {
	s, err := Open(Options{Dir: t.TempDir(), Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	root := t.TempDir()
	b := &app.Build{Dockerfile: &app.Dockerfile{File: "Dockerfile", Content: []byte("FROM scratch\n")}}
	folder := func() string {
		t.Helper()
		found := make(chan string, 1)
		go func() {
			dir, done, err := s.dockerfileFolder(root, b)
			if err != nil {
				t.Error(err)
				found <- ""
				return
			}
			defer done()
			text, _ := os.ReadFile(filepath.Join(dir, "Dockerfile.dockerignore"))
			found <- string(text)
		}()
		select {
		case text := <-found:
			return text
		case <-time.After(5 * time.Second):
			t.Fatal("still reading")
			return ""
		}
	}
	ignore := filepath.Join(root, "Dockerfile.dockerignore")
	if err := os.WriteFile(ignore, []byte("x\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := folder(); got != "x\n" {
		t.Errorf("the ignore file holds %q", got)
	}
	if err := os.Remove(ignore); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(ignore, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := folder(); got != "" {
		t.Errorf("the pipe holds %q", got)
	}
}
