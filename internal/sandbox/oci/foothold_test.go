package oci

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"road/internal/probe"
	"road/internal/sandbox"
)

// A probe that was killed does not make everything after it unproven, a hole
// that refuses is no hole, and an end that is in a hurry waits for nobody.
func TestSandboxFoothold(t *testing.T) {
	a := demoAt(t, 1)
	a.Workload(db).Pod.Containers[0].Command = []string{"sh", "-c", "trap '' TERM; while :; do sleep 1; done"}
	a.Workload(db).Pod.Containers[0].ReadinessProbe = nil
	a.Workload(db).Pod.Containers[0].LivenessProbe = nil
	d := deploy(t, a)
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: web, Container: "road-to-secure-kubernetes"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var status string
	if err := s.Foothold.Code(t.Context(), probe.Status, nil, &status); err != nil {
		t.Fatal(err)
	}
	inside := strings.Fields(statusField(status, "NSpid"))
	pid, err := strconv.Atoi(inside[len(inside)-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Foothold.Code(t.Context(), probe.Kill, probe.KillArgs{PID: pid}, nil); !errors.Is(err, probe.ErrEnded) {
		t.Fatalf("the probe killed itself: %v", err)
	}
	if err := s.Foothold.Code(t.Context(), probe.Status, nil, &status); err != nil {
		t.Errorf("after its probe was killed: %v", err)
	}
	if out, err := s.Foothold.Command(t.Context(), "echo", "hello"); err != nil || strings.TrimSpace(out) != "hello" {
		t.Errorf("%q, %v", out, err)
	}
	d.app.Config.Foothold.Command.Path = "/no-such-hole/?cmd={command}"
	if out, err := s.Foothold.Command(t.Context(), "echo", "hello"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("where there is no hole: %q, %v", out, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if err := d.Stop(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > stopGrace*time.Second*2/3 {
		t.Errorf("an end in a hurry took %v", took)
	}
}
