package oci

import (
	"os"
	"path/filepath"
	"testing"

	"road/internal/probe"
	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// The probe starts under a profile of the node's in a container whose root is
// read-only, where nothing can be removed, not even what is not there.
func TestSandboxBaselineOnAReadOnlyRoot(t *testing.T) {
	a := demoAt(t, 1)
	const profile = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ERRNO"}]}`
	if err := os.WriteFile(filepath.Join(a.Root, "own.json"), []byte(profile), 0o600); err != nil {
		t.Fatal(err)
	}
	yes, name := true, "own.json"
	c := &a.Workload(db).Pod.Containers[0]
	c.Command, c.ReadinessProbe, c.LivenessProbe = []string{"sleep", "1h"}, nil, nil
	c.SecurityContext = &corev1.SecurityContext{
		ReadOnlyRootFilesystem: &yes,
		SeccompProfile:         &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: &name},
	}
	status := statusIn(t, deploy(t, a), sandbox.Target{Workload: db, Container: c.Name})
	if got := statusField(status, "Seccomp"); got != "2" {
		t.Errorf("the probe's Seccomp is %q", got)
	}
}

// statusIn is what the kernel says of the attacker's code in a container.
func statusIn(t *testing.T, d sandbox.Deployment, target sandbox.Target) (status string) {
	t.Helper()
	s, err := d.Scene(t.Context(), target, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Foothold.Code(t.Context(), probe.Status, nil, &status); err != nil {
		t.Fatal(err)
	}
	return status
}
