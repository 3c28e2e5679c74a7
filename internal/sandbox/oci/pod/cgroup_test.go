package pod

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The recorded files are those of a pod with one container whose child was
// killed for want of memory.
func TestCounters(t *testing.T) {
	for _, c := range []struct {
		name    string
		unified bool
		want    counters
	}{
		{"v1", false, counters{anon: 1179648, pids: 5, cpu: 283919873, exists: true, oomKills: 1, throttled: 12, full: true}},
		{"v2", true, counters{anon: 905216, pids: 7, cpu: 1234567 * time.Microsecond, exists: true, oomKills: 2, throttled: 40, full: true}},
	} {
		g := podCgroup{root: "testdata/cgroup-" + c.name, path: "/node/pod", unified: c.unified}
		if d := cmp.Diff(c.want, g.read(), cmp.AllowUnexported(counters{})); d != "" {
			t.Errorf("%s:\n%s", c.name, d)
		}
		if got := g.child("gone").read(); got.exists || got != (counters{}) {
			t.Errorf("%s: a group that is gone: %+v", c.name, got)
		}
		if d := cmp.Diff([]int{11, 12, 31}, g.procs()); d != "" {
			t.Errorf("%s: processes\n%s", c.name, d)
		}
	}
}

func TestInCgroup(t *testing.T) {
	for text, want := range map[string]bool{
		"12:pids:/road/pod/web.0\n0::/": true,
		"0::/road/pod/web.0/below\n":    true,
		"12:pids:/road/pod/web.01\n":    false,
		"12:pids:/other/road/pod/web.0": false,
		"4:cpu,cpuacct:/road/pod/web.0": true,
		"":                              false,
	} {
		if got := inCgroup(text, "/road/pod/web.0"); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
