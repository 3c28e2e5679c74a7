package oci

import (
	"testing"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// What the containers use is measured from their start on; what is written goes
// to the page cache, which is nobody's memory; and what an attacker uses is not
// the application's.
func TestSandboxLearnsPeaks(t *testing.T) {
	const mebi = 1 << 20
	a := demoAt(t, 1)
	w := a.Workload(db)
	w.Pod.InitContainers = []corev1.Container{{Name: "prepare", Image: w.Pod.Containers[0].Image,
		Command: []string{"sh", "-c", "dd if=/dev/zero of=/opt/big bs=1M count=64; x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 0.3"}}}
	d := deploy(t, a)
	learn := func() (prepare, redis app.Peak) {
		t.Helper()
		seen := &app.Seen{}
		if err := d.Learn(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
		for _, c := range []string{"prepare", "redis"} {
			if seen.Inside(db, c).Peak == nil {
				t.Fatalf("%s was not measured", c)
			}
		}
		return *seen.Inside(db, "prepare").Peak, *seen.Inside(db, "redis").Peak
	}
	p, r := learn()
	if p.LayerBytes < 64*mebi || p.MemoryBytes < 19*mebi || p.MemoryBytes > 60*mebi || p.MilliCPU < 50 {
		t.Errorf("the init container: %+v", p)
	}
	if r.MemoryBytes < mebi || r.MemoryBytes > 60*mebi || r.LayerBytes > mebi {
		t.Errorf("redis: %+v", r)
	}
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: db, Container: "redis"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Foothold.Code(t.Context(), probe.Alloc, probe.AllocArgs{Bytes: 100 * mebi}, nil); err != nil {
		t.Fatal(err)
	}
	if u, err := s.Node.Usage(); err != nil || u.AnonBytes < 100*mebi {
		t.Errorf("the node counts %+v, %v", u, err)
	}
	if _, again := learn(); again.MemoryBytes != r.MemoryBytes {
		t.Errorf("redis after an attack: %+v, before %+v", again, r)
	}
}
