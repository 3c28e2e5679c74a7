package limits

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"
)

// TestJudgeBomb has only the node's counts tell, and the node's own limit never
// stand for the pod's.
func TestJudgeBomb(t *testing.T) {
	killed := sandbox.Usage{OOMKills: 1, Full: true}
	nodes := sandbox.Usage{OOMKills: 1}
	died := errors.New("alloc: signal: killed")
	for name, c := range map[string]struct {
		m    memory
		want step.Verdict // "" for an error
	}{
		"counted":                    {memory{want: bombBytes, peak: bombBytes}, step.Succeeded},
		"counted, then killed":       {memory{want: bombBytes, peak: bombBytes, after: killed, err: died}, step.Succeeded},
		"killed by its limit":        {memory{want: bombBytes, limit: 256 * mebi, peak: 255 * mebi, after: killed, err: died}, step.Blocked},
		"killed far below its limit": {memory{want: 8192 * mebi, limit: 4096 * mebi, peak: 500 * mebi, after: nodes, err: died}, ""},
		"which files had filled":     {memory{want: 8192 * mebi, limit: 4096 * mebi, peak: 500 * mebi, after: killed, err: died}, ""},
		"a limit that was not hit":   {memory{want: bombBytes, limit: 256 * mebi, peak: 200 * mebi, after: nodes, err: died}, ""},
		"killed by the node's":       {memory{want: bombBytes, peak: 300 * mebi, after: killed, err: died}, ""},
		"killed before, not now":     {memory{want: bombBytes, limit: 256 * mebi, before: killed, after: killed, err: died}, ""},
		"the probe went away":        {memory{want: bombBytes, limit: 256 * mebi, err: probe.ErrEnded}, ""},
		"the pod had it before":      {memory{want: bombBytes, before: sandbox.Usage{AnonBytes: 400 * mebi}, peak: 410 * mebi, err: died}, ""},
		"a pod that had much":        {memory{want: bombBytes, limit: 256 * mebi, before: sandbox.Usage{AnonBytes: 330 * mebi}, peak: 570 * mebi, after: killed, err: died}, step.Blocked},
		"said to be there, not seen": {memory{want: bombBytes, limit: 256 * mebi, peak: 100 * mebi}, ""},
	} {
		if out, err := c.m.judge(); out.Verdict != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
}

// TestJudgeBurn has a busy machine never stand for a limit.
func TestJudgeBurn(t *testing.T) {
	held := sandbox.Usage{Throttled: 5}
	for name, c := range map[string]struct {
		b    burn
		want step.Verdict // "" for an error
	}{
		"both cores":                  {burn{cores: 2, best: 1.9}, step.Succeeded},
		"a busy machine":              {burn{cores: 2, best: 1.2}, ""},
		"held back":                   {burn{cores: 2, limit: 1, best: 1.1, after: held}, step.Blocked},
		"a busy machine with a limit": {burn{cores: 2, limit: 1, best: 0.8}, ""},
		"held back before":            {burn{cores: 2, limit: 1, best: 0.8, before: held, after: held}, ""},
		"more than its limit":         {burn{cores: 2, limit: 1, best: 1.4, after: held}, ""},
		"a limit that does not hold":  {burn{cores: 2, limit: 1, best: 1.9, after: held}, step.Succeeded},
		"a higher limit is used":      {burn{cores: 8, limit: 4, best: 4.2, after: held}, step.Blocked},
	} {
		if out, err := c.b.judge(); out.Verdict != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	for want, b := range map[string]burn{"": {cores: 2, limit: 1}, "one core": {cores: 1}, "no more than the limit of 2": {cores: 2, limit: 2}} {
		if got := b.pointless(); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%+v: %q, want %q", b, got, want)
		}
	}
}

func TestJudgeForks(t *testing.T) {
	if out, err := judgeForks(probe.ForkResult{Count: forks}, 8, 208); err != nil || out.Verdict != step.Succeeded {
		t.Errorf("%+v, %v", out, err)
	}
	for word, want := range map[string]step.Verdict{"Operation not permitted": step.Blocked, "Permission denied": step.Blocked,
		"Function not implemented": step.Blocked, "Resource temporarily unavailable": "", "Cannot allocate memory": ""} {
		if out, err := judgeForks(probe.ForkResult{Count: 90, Refused: word}, 8, 98); out.Verdict != want || (err == nil) != (want != "") {
			t.Errorf("%s: %+v, %v", word, out, err)
		}
	}
	if out, err := judgeForks(probe.ForkResult{Count: forks}, 8, 9); err == nil {
		t.Errorf("%+v", out)
	}
}

// TestDiskPlaces has the bytes go to the node's disk, and to no claim or tmpfs.
func TestDiskPlaces(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{"pod.yaml": []byte(`apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  containers:
  - name: c
    image: i
    workingDir: /data/db
    volumeMounts:
    - {name: claim, mountPath: /data}
    - {name: dir, mountPath: /cache/}
    - {name: small, mountPath: /small}
    - {name: dir, mountPath: /ro, readOnly: true}
    - {name: mem, mountPath: /tmp}
  volumes:
  - {name: claim, persistentVolumeClaim: {claimName: c}}
  - {name: dir, emptyDir: {}}
  - {name: small, emptyDir: {sizeLimit: 1Mi}}
  - {name: mem, emptyDir: {medium: Memory}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	got, err := diskPlaces(&sandbox.Scene{App: a, Target: sandbox.Target{Workload: "pod/p", Container: "c"}})
	want := []place{{"/var/tmp", false}, {"/cache", false}, {"/small", true}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

// A busyNode counts an application that takes two processors all the time.
type busyNode struct {
	sandbox.Node
	since time.Time
}

func (n busyNode) Usage() (sandbox.Usage, error) {
	return sandbox.Usage{CPU: 2 * time.Since(n.since)}, nil
}

// TestBusyApplication has what the application takes never count as the burn's.
func TestBusyApplication(t *testing.T) {
	n := busyNode{since: time.Now()}
	never := make(chan error, 1)
	time.AfterFunc(2*burnWindow, func() { never <- errors.New("spin: Operation not permitted") })
	if err := (&burn{cores: 2}).watch(t.Context(), n, never, time.Second); err == nil {
		t.Error("a burn that never ran was watched to its end")
	}
	b := &burn{cores: 2}
	if err := b.rest(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	runs := make(chan error, 1)
	runs <- nil
	if err := b.watch(t.Context(), n, runs, 2*burnWindow); err != nil {
		t.Fatal(err)
	}
	if out, err := b.judge(); err == nil {
		t.Errorf("%+v", out)
	}
}

// TestMarks has a count that was read late never make a rate higher than it was.
func TestMarks(t *testing.T) {
	at, ms := time.Now(), time.Millisecond
	for name, c := range map[string]struct {
		late int // milliseconds by which the first mark is noted too late
		want float64
	}{"in time": {0, 1}, "held up": {150, 1}} {
		var all marks
		got := 0.0
		for i := range 31 {
			m := mark{begun: at.Add(time.Duration(i) * 10 * ms), over: at.Add(time.Duration(i) * 10 * ms), cpu: time.Duration(i) * 10 * ms}
			if i == 0 {
				m.over = m.over.Add(time.Duration(c.late) * ms)
			}
			got = all.add(m)
			if i < 30 && got != 0 {
				t.Errorf("%s: %g cores before the window is over", name, got)
			}
		}
		if got != c.want {
			t.Errorf("%s: %g cores, want %g", name, got, c.want)
		}
	}
}

// A diskNode counts what its pod holds of the disk, and what becomes of it at each look.
type diskNode struct {
	sandbox.Node
	looks *[]sandbox.Disk
}

func (n diskNode) Disk() (sandbox.Disk, error) {
	d := (*n.looks)[0]
	if len(*n.looks) > 1 {
		*n.looks = (*n.looks)[1:]
	}
	return d, nil
}

// TestKeeps has only an eviction show that a disk is held, and only the node's count
// that it is taken.
func TestKeeps(t *testing.T) {
	taken := sandbox.Disk{Used: fillBytes + mebi}
	gone := sandbox.Disk{Used: 2 * mebi, Evicted: "Usage of EmptyDir volume \"x\" exceeds the limit \"1Mi\"."}
	for name, c := range map[string]struct {
		looks   []sandbox.Disk
		limited bool
		want    step.Verdict // "" for an error
	}{
		"taken":                {[]sandbox.Disk{taken}, false, step.Succeeded},
		"not counted":          {[]sandbox.Disk{{Used: mebi}}, false, ""},
		"evicted":              {[]sandbox.Disk{taken, taken, {Used: taken.Used, Evicted: "x"}, gone}, true, step.Blocked},
		"evicted before":       {[]sandbox.Disk{gone}, true, step.Blocked},
		"kept in spite of it":  {[]sandbox.Disk{taken}, true, step.Succeeded},
		"limited, not counted": {[]sandbox.Disk{{Used: mebi}}, true, ""},
	} {
		f := fill{scene: &sandbox.Scene{Node: diskNode{looks: &c.looks}}, want: fillBytes, keep: 3 * lookTime, before: sandbox.Disk{Used: mebi}}
		out, kept, err := f.keeps(t.Context(), place{"/tmp", c.limited})
		if out.Verdict != c.want || (err != nil) != (c.want == "") || kept == (c.want == step.Blocked) {
			t.Errorf("%s: %+v, kept %t, %v", name, out, kept, err)
		}
	}
}
