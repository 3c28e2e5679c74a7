package oci

import (
	"errors"
	"slices"
	"testing"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/pod"
)

// A container of which something was missed counts as not seen: an image made of
// the rest would lack files.
func TestOpenedInPart(t *testing.T) {
	d := &deployment{}
	d.opened("w", "c", pod.Open{Name: "/a"})
	in := &app.SeenInside{}
	if d.learnOpened(in, "w", "c"); len(in.Opened) != 1 {
		t.Fatalf("%v", in.Opened)
	}
	d.unseen("w", "c", errors.New("too many open files"))
	if d.learnOpened(in, "w", "c"); in.Opened != nil || in.Unseen != "too many open files" {
		t.Errorf("%v, %q", in.Opened, in.Unseen)
	}
}

// What a server opened of its image is seen, by real names, and what it ran; what
// it wrote itself is not of the image, and what came after an attack began is not
// the application's.
func TestSandboxLearnsWhatIsOpened(t *testing.T) {
	d := deploy(t, demoAt(t, 1))
	learn := func() *app.SeenInside {
		seen := &app.Seen{}
		if err := d.Learn(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
		return seen.Inside(db, "redis")
	}
	in := learn()
	for _, want := range []string{"/etc/redis/redis.conf", "/usr/bin/dash"} {
		if !slices.Contains(in.Opened, want) {
			t.Errorf("%s is not among what was opened: %v", want, in.Opened)
		}
	}
	if !slices.Contains(in.Ran, "/usr/bin/dash") || slices.Contains(in.Ran, "/etc/redis/redis.conf") {
		t.Errorf("it ran %v", in.Ran)
	}
	if in.Links["/usr/bin/redis-server"] != "/usr/bin/redis-check-rdb" {
		t.Errorf("links %v", in.Links)
	}
	if slices.Contains(in.Opened, "/var/log/redis/redis-server.log") {
		t.Error("its log is not of the image")
	}
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: db, Container: "redis"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Foothold.Code(t.Context(), probe.Exec, probe.ExecArgs{Argv: []string{"cat", "/etc/debian_version"}}, nil); err != nil {
		t.Fatal(err)
	}
	if after := learn(); slices.Contains(after.Opened, "/etc/debian_version") {
		t.Error("what an attacker opened counts as the application's")
	}
}
