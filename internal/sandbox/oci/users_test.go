package oci

import (
	"bytes"
	"context"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
	"road/steps/noescalation"
)

// ownUsers gives every pod of a users of its own.
func ownUsers(a *app.App) *app.App {
	for _, w := range a.Workloads {
		no := false
		w.Pod.HostUsers = &no
	}
	return a
}

// The demo works with users of its own, and its data, written without, stays
// where it is and what it is.
func TestSandboxOwnUsers(t *testing.T) {
	e := engineFor(t)
	if lack := e.Info().Lacks[sandbox.UserNamespaces]; lack != "" {
		t.Fatal(lack)
	}
	start := func(a *app.App) *deployment {
		t.Helper()
		d, err := e.Deploy(t.Context(), a, sandbox.DeployOptions{Claims: t.Name()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := d.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		return d.(*deployment)
	}
	before := start(demoAt(t, 1))
	n := count(t, before)
	if err := before.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := start(ownUsers(demoAt(t, 1)))
	defer after.Stop(context.Background())
	if now := count(t, after); now != n+1 {
		t.Errorf("the counter went from %d to %d", n, now)
	}
	if err := after.Restart(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if now := count(t, after); now != n+2 {
		t.Errorf("after a restart of Redis the counter went from %d to %d", n, now)
	}
	for _, m := range after.of(db) {
		node, err := m.pod.Node("redis")
		if err != nil {
			t.Fatal(err)
		}
		ps, err := node.Processes()
		if err != nil || len(ps) == 0 || ps[0].UID <= 65535 {
			t.Errorf("redis on the node: %+v, %v", ps, err)
		}
	}
}

// A helper that is planted has the power of the pod's root and no more, and the
// scene shows it with the node's eyes.
func TestSandboxOwnUsersHelpers(t *testing.T) {
	d := deploy(t, ownUsers(demoAt(t, 1)))
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: web, Container: "road-to-secure-kubernetes"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	base := d.of(web)[0].root()
	helper, err := s.Plant(sandbox.Helper{Name: "helper", Mode: 0o4755})
	if err != nil {
		t.Fatal(err)
	}
	if f, err := s.Node.Stat(helper.Path); err != nil || f.UID != base || f.Mode != 0o4755 || base <= 65535 {
		t.Errorf("the helper: %+v, %v, want uid %d", f, err, base)
	}
	if err := helper.Remove(); err != nil {
		t.Error(err)
	}
	for _, a := range noescalation.Step.Attacks {
		out, err := a.Run(t.Context(), s)
		if err != nil || out.Verdict != step.Succeeded {
			t.Errorf("%s: %+v, %v", a.Name, out, err)
		}
	}
	var own probe.ReadResult
	if err := s.Foothold.Code(t.Context(), probe.Read, probe.ReadArgs{Path: "/proc/self/uid_map"}, &own); err != nil || !bytes.Contains(own.Data, []byte("65536")) {
		t.Errorf("uid_map of the probe: %q, %v", own.Data, err)
	}
	made := "/.road/volume/made"
	if err := s.Foothold.Code(t.Context(), probe.Write, probe.WriteArgs{Path: made, Data: []byte("x")}, nil); err != nil {
		t.Fatal(err)
	}
	if f, err := s.Node.Stat(made); err != nil || f.UID != base {
		t.Errorf("a file of the pod's root: %+v, %v, want uid %d", f, err, base)
	}
	if _, err := s.Node.Keys(); err != nil {
		t.Error(err)
	}
}
