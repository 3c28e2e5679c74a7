package pod

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

const workerStatus = "Name:\tnginx\nUid:\t33\t33\t33\t33\nGid:\t33\t33\t33\t33\nGroups:\t50 33 \nCapInh:\t0000000000000000\n" +
	"CapPrm:\t0000000000000001\nCapEff:\t0000000000000001\nCapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t0\n"

func TestReadIdentity(t *testing.T) {
	got, err := readIdentity(workerStatus)
	want := identity{uid: 33, gid: 33, groups: []uint32{33, 50}, permitted: 1, bounding: 0xa80425fb, noNewPrivs: true, settled: true}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(identity{})); err != nil || d != "" {
		t.Errorf("%v\n%s", err, d)
	}
	for name, status := range map[string]string{"empty": "", "cut": workerStatus[:60]} {
		if _, err := readIdentity(status); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, line := range []string{"Uid:\t0\t33\t33\t33\nGid:\t33\t33\t33\t33", "Uid:\t33\t33\t0\t33\nGid:\t33\t33\t33\t33", "Uid:\t33\t33\t33\t33\nGid:\t33\t33\t0\t33"} {
		id, err := readIdentity(line + "\nCapPrm:\t0\nCapBnd:\t0\nNoNewPrivs:\t0\n")
		if err != nil || id.settled {
			t.Errorf("%q: settled %v, %v", line, id.settled, err)
		}
	}
}

func TestDifference(t *testing.T) {
	root := identity{permitted: 7, bounding: 7}
	for _, c := range []struct {
		now  identity
		base uint32
		was  identity
		want string
	}{
		{identity{uid: 999, gid: 50}, 0, root, "uid 999, gid 50: the entry point drops root"},
		{identity{uid: 100999, gid: 100999}, 100000, identity{uid: 100000, gid: 100000}, "uid 999, gid 999: the entry point drops root"},
		{identity{uid: 5, gid: 5}, 0, identity{uid: 4, gid: 4}, "uid 5, gid 5: the entry point begins as uid 4, gid 4"},
		{identity{permitted: 1, bounding: 1}, 0, root, "uid 0, gid 0: the entry point keeps 1 of 3 capabilities"},
		{identity{permitted: 7, bounding: 7, noNewPrivs: true}, 0, root, "uid 0, gid 0: the entry point gives up new privileges"},
		{identity{permitted: 7, bounding: 7, groups: []uint32{1}}, 0, root, "uid 0, gid 0: the entry point changes its groups"},
	} {
		if same(c.now, c.was) {
			t.Errorf("%+v counts as no difference", c.now)
		}
		if got := difference(c.now, c.was, c.base); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestSandboxAgentWaits has the agent be who serves in the end, though the entry
// point is still root when it is asked for, and lets it wait for nobody else.
func TestSandboxAgentWaits(t *testing.T) {
	need(t)
	for name, c := range map[string]struct {
		args    []string
		uid, as string
		atMost  time.Duration
	}{
		"drops root":           {[]string{":become", "400ms", "1000", ":wait"}, "1000", "uid 1000, gid 1000: the entry point drops root", settleLimit},
		"listens":              {[]string{":serve", "8080"}, "0", "", steadyTime},
		"holds, and is no app": {[]string{"probe"}, "0", "", steadyTime},
	} {
		t.Run(name, func(t *testing.T) {
			spec := one(c.args...)
			if c.args[0] == "probe" {
				spec.Containers[0].Command, spec.Containers[0].Args = []string{ProbeDestination}, []string{":wait"}
			}
			p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
			if c.args[0] == ":serve" {
				waitLog(t, p, "listening")
			} else {
				ready(t, p)
			}
			began := time.Now()
			a, err := p.Agent(t.Context(), "web")
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			if took := time.Since(began); took > c.atMost {
				t.Errorf("it took %v", took)
			}
			line, err := bufio.NewReader(a).ReadString('\n')
			if f := strings.Fields(line); err != nil || len(f) != 3 || f[2] != c.uid || a.As != c.as {
				t.Errorf("%q (%v) says that it is %q", line, err, a.As)
			}
		})
	}
}

// One whose server cannot be looked at starts no agent as somebody else.
func TestSandboxAgentOfNobody(t *testing.T) {
	need(t)
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":wait")))
	ready(t, p)
	a, err := p.attempt("web")
	if err != nil {
		t.Fatal(err)
	}
	pid := a.pid
	a.pid = 1 << 30
	defer func() { a.pid = pid }()
	if g, err := p.Agent(t.Context(), "web"); err == nil {
		g.Close()
		t.Error("an agent was started")
	}
}
