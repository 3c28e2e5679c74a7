package oci

import (
	"context"
	"testing"

	"road/internal/sandbox"
)

// Two deployments at once are two clusters: each counts in its own Redis, what is
// denied in one is not in the other, and one goes on when the other ends.
func TestSandboxBeside(t *testing.T) {
	first := deploy(t, demoAt(t, 1))
	for range 3 {
		count(t, first)
	}
	closed := demoAt(t, 1)
	denyAll(closed, web)
	e := engineFor(t)
	second, err := e.Deploy(t.Context(), closed, sandbox.DeployOptions{Attacked: true})
	if err != nil {
		t.Fatal(err)
	}
	ready := second.Ready(t.Context())
	if n := len(second.(*deployment).of(web)); ready != nil || n != 1 {
		t.Errorf("%d pods of a workload that is only attacked: %v", n, ready)
	}
	if n := count(t, first); n != 4 {
		t.Errorf("the first counts %d beside the second", n)
	}
	s := sceneOf(t, second.(*deployment))
	own, _ := s.Services(web[len("deployment/"):])
	other, _ := sceneOf(t, first).Services(web[len("deployment/"):])
	if own == other {
		t.Errorf("both have a Service at %s", own)
	}
	if err := second.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, first); n != 5 {
		t.Errorf("the first counts %d after the second", n)
	}
}

// A copy of the claims is as they were before the deployment began to use them.
func TestSandboxKeep(t *testing.T) {
	a := demoAt(t, 1)
	e := engineFor(t)
	run := func(o sandbox.DeployOptions) sandbox.Deployment {
		d, err := e.Deploy(t.Context(), a, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		return d
	}
	for want := range 2 {
		d := run(sandbox.DeployOptions{Claims: "keep-test", Keep: "kept-test"})
		if n := count(t, d); n != want+1 {
			t.Errorf("the counter is %d, not %d", n, want+1)
		}
		if err := d.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	d := run(sandbox.DeployOptions{Claims: "kept-test", Attacked: true})
	if n := count(t, d); n != 2 {
		t.Errorf("what was kept counts %d, not 2", n)
	}
	if err := d.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}
