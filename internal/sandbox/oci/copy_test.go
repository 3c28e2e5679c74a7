package oci

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// A server renames its files while they are copied.
func TestCopyLive(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	for i := range 300 {
		if err := os.WriteFile(filepath.Join(from, fmt.Sprint("part-", i)), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	// As soon as a copy has begun, all files go.
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		names, _ := os.ReadDir(from)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := os.Lstat(to); err == nil {
				for _, n := range names {
					os.Remove(filepath.Join(from, n.Name()))
				}
				return
			}
		}
	}()
	err := copyLive(t.Context(), from, to)
	close(stop)
	<-done
	if err != nil {
		t.Error(err)
	}
	if err := copyLive(t.Context(), filepath.Join(from, "none"), to+"2"); err == nil {
		t.Error("nothing was copied, and nobody says so")
	}
}

// A pod that cannot be started leaves no copy of the claims.
func TestSandboxFreshPodLeavesNoCopy(t *testing.T) {
	d := deploy(t, demoAt(t, 1))
	if s, err := d.Scene(t.Context(), sandbox.Target{Workload: db, Container: "redis"}, true, func(s *corev1.PodSpec) { s.Containers[0].Name = "../x" }); err == nil {
		s.Close()
		t.Fatal("a pod with a container ../x was started")
	}
	if left, _ := filepath.Glob(filepath.Join(d.e.w.Disk, "claims", "copy-*")); left != nil {
		t.Errorf("left behind: %v", left)
	}
}
