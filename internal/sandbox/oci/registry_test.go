package oci

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
)

// inlinePod is a pod whose image PATH builds from nothing but a program, so
// that the attacker's has to bring all that it needs.
const inlinePod = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: IMAGE
    command: [COMMAND, hold]
`

// TestSandboxSwappedTag moves the tag of an image in the registry: a fresh node
// runs the attacker's program where the manifest names the tag, and the
// application's where it names the digest; afterwards the tag is put back.
func TestSandboxSwappedTag(t *testing.T) {
	for _, command := range []string{"/bin/program", "program"} { // a manifest's own, by path and by name
		t.Run(strings.Trim(command, "/"), func(t *testing.T) { swapped(t, command) })
	}
}

func swapped(t *testing.T, command string) {
	e, a := swapApp(t, "web:1", command, "steps: {registry: in-process}\n")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	pins, err := e.Publish(ctx, a, true, nil)
	if err != nil || !strings.HasPrefix(pins["web:1"].Digest, "sha256:") || pins["web:1"].Registry != app.InProcess {
		t.Fatalf("%+v, %v", pins, err)
	}
	digest := pins["web:1"].Digest
	if got := runsAfterSwap(ctx, t, e, a, digest); got != "/.implant/run" {
		t.Errorf("by tag: a fresh node runs %q, want the attacker's program", got)
	}
	if img, ok, err := e.hub.Image(ctx, "web:1"); !ok || err != nil {
		t.Error(ok, err)
	} else if d, err := img.Digest(); err != nil || d.String() != digest {
		t.Errorf("the tag was not put back: %s, %v", d, err)
	}
	ref := "web:1@" + digest
	pinned := inline(t, swapFiles(ref, command, ""))
	if got := runsAfterSwap(ctx, t, e, pinned, digest); got != "/bin/program" {
		t.Errorf("by digest: a fresh node runs %q, want the application", got)
	}
}

// swapFiles gives the files of an application whose image holds the probe alone.
func swapFiles(ref, command, config string) map[string]string {
	pod := strings.NewReplacer("IMAGE", ref, "COMMAND", command).Replace(inlinePod)
	return map[string]string{"pod.yaml": pod, "Dockerfile": "FROM scratch\nENV PATH=/bin\nCOPY --chmod=755 program /bin/program\n", "road.yaml": "apiVersion: road/v1\nimages: {web: .}\n" + config}
}

// swapApp gives an engine, and an application that was prepared in it.
func swapApp(t *testing.T, ref, command, config string) (*engine, *app.App) {
	t.Helper()
	e := engineFor(t).(*engine)
	program, err := os.ReadFile(e.o.Probe)
	if err != nil {
		t.Fatal(err)
	}
	files := swapFiles(ref, command, config)
	files["program"] = string(program)
	a := inline(t, files)
	if _, err := e.Prepare(context.Background(), a, nil); err != nil {
		t.Fatal(err)
	}
	return e, a
}

// runsAfterSwap moves the tag and gives the program of the pod's first process
// on a fresh node.
func runsAfterSwap(ctx context.Context, t *testing.T, e *engine, a *app.App, was string) string {
	t.Helper()
	d, err := e.Deploy(ctx, a, sandbox.DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop(ctx)
	s, err := d.Scene(ctx, sandbox.Target{Workload: "pod/web", Container: "web"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	o, err := s.Registry.Overwrite(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if o.Tag != "web:1" || o.Was != was || o.Is == was {
		t.Errorf("moved %+v", o)
	}
	r, err := s.Registry.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(r.Close(), o.Restore(ctx)); err != nil {
			t.Error(err)
		}
	}()
	for ctx.Err() == nil {
		list, _ := r.Node.Processes()
		for _, p := range list {
			if p.Inside == 1 && !strings.Contains(p.Exe, "runc") && p.Exe != "/" { // which is the runtime, mounted apart
				return p.Exe
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("nothing runs on the fresh node")
	return ""
}

// TestSandboxNoSuchDigest has an image that is named by a digest be run by it
// alone, whatever PATH would build: where nobody has it, there is no pod.
func TestSandboxNoSuchDigest(t *testing.T) {
	e := engineFor(t)
	a := inline(t, swapFiles("localhost:1/web:1@sha256:"+strings.Repeat("0", 64), "x", ""))
	_, err := e.Prepare(context.Background(), a, nil)
	var hint interface{ Hint() string }
	if err == nil || !strings.Contains(err.Error(), "@sha256:0000") || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "by its tag alone") {
		t.Errorf("%v (%v)", err, hint)
	}
}

// TestSandboxOnlyAnsweredDigests pins nothing of which no registry spoke.
func TestSandboxOnlyAnsweredDigests(t *testing.T) {
	e, a := swapApp(t, "web:1", "/bin/program", "")
	pins, err := e.Publish(context.Background(), a, true, nil)
	if p := pins["web:1"]; err != nil || p.Digest != "" || !strings.Contains(p.Why, "this machine only") {
		t.Errorf("%+v, %v", pins, err)
	}
}

// TestSandboxPushesWhereAsked pushes to a registry only what the road came to, and
// only where the command line names it.
func TestSandboxPushesWhereAsked(t *testing.T) {
	const host = "127.0.0.1:1"
	e, a := swapApp(t, "web:1", "/bin/program", "steps: {registry: \""+host+"\"}\n")
	publish := func(a *app.App, push bool) app.Pin {
		t.Helper()
		pins, err := e.Publish(t.Context(), a, push, nil)
		if err != nil {
			t.Fatal(err)
		}
		return pins["web:1"]
	}
	if p := publish(a, true); p.Digest != "" || !strings.Contains(p.Why, "road walk --registry "+host) {
		t.Errorf("only road.yaml names it: %+v", p)
	}
	e.o.Registry = host
	defer func() { e.o.Registry = "" }()
	if p := publish(a, false); p.Digest == "" || p.Registry != app.InProcess || p.Name != "" {
		t.Errorf("a variant: %+v", p)
	}
	// Nobody listens there: the failure shows that this, and only this, is pushed.
	if p := publish(a, true); p.Digest != "" || !strings.Contains(p.Why, "cannot push "+host+"/web:1") {
		t.Errorf("the road's own: %+v", p)
	}
}

// TestTakeAll has two who share tags, named in another order, act in turn.
func TestTakeAll(t *testing.T) {
	h := &hub{busy: map[string]chan struct{}{}}
	release, err := h.takeAll(t.Context(), []string{"b", "a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := h.takeAll(soon, []string{"c", "b"}); err == nil {
		t.Error("a tag was taken twice")
	}
	release()
	if _, err := h.takeAll(t.Context(), []string{"c", "b", "a"}); err != nil {
		t.Error(err)
	}
}

const twoPod = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: web, image: "web:1", command: [/bin/program, hold]}
  - {name: side, image: "side:1", command: [/bin/program, hold]}
`

// TestSandboxSidecarTag starts a pod on a fresh node with the sidecar that the
// application has, whatever the sidecar's tag stood for, and lets nobody move that
// tag meanwhile.
func TestSandboxSidecarTag(t *testing.T) {
	e := engineFor(t).(*engine)
	program, err := os.ReadFile(e.o.Probe)
	if err != nil {
		t.Fatal(err)
	}
	file := "FROM scratch\nCOPY --chmod=755 program /bin/program\n"
	a := inline(t, map[string]string{"pod.yaml": twoPod, "web/program": string(program), "side/program": string(program), "web/Dockerfile": file, "side/Dockerfile": file + "ENV SIDE=yes\n",
		"road.yaml": "apiVersion: road/v1\nimages: {web: web, side: side}\n"})
	d, err := e.Deploy(t.Context(), a, sandbox.DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Stop(context.Background())
	own := d.(*deployment)
	stale, err := e.store.OCI(own.images["web:1"])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.hub.Push(t.Context(), "side:1", stale); err != nil {
		t.Fatal(err)
	}
	s := &source{d: own, w: a.Workload("pod/web"), t: sandbox.Target{Workload: "pod/web", Container: "web"}}
	o, err := s.Overwrite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	soon, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := e.hub.take(soon, "side:1"); err == nil {
		t.Error("the sidecar's tag could be taken")
	}
	img, err := s.pull(t.Context(), "side:1")
	if err != nil || !slices.Contains(img.Config.Env, "SIDE=yes") {
		t.Errorf("a fresh node gets %+v, %v", img, err)
	}
	if err := o.Restore(t.Context()); err != nil {
		t.Error(err)
	}
}
