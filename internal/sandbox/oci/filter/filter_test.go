package filter

import (
	"testing"

	"road/internal/sandbox"
	"road/internal/sandbox/oci/audit"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// TestCount has a filter that allows what it does not name count as wide as it is.
func TestCount(t *testing.T) {
	known := len(audit.Known())
	arg := []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}}
	rule := func(a specs.LinuxSeccompAction, args []specs.LinuxSeccompArg, names ...string) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: names, Action: a, Args: args}
	}
	mixed := []specs.LinuxSyscall{
		rule(specs.ActErrno, nil, "mount", "bpf", "unheard_of"),
		rule(specs.ActErrno, arg, "personality", "mount"),
		rule(specs.ActAllow, nil, "read"),
		rule(specs.ActAllow, arg, "clone"),
	}
	for _, c := range []struct {
		name            string
		filter          *specs.LinuxSeccomp
		allowed, partly int
	}{
		{"none", nil, known, 0},
		{"refuses by default", &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: mixed}, 2, 1},
		{"allows by default", &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: mixed}, known - 2, 1},
		{"logs by default", &specs.LinuxSeccomp{DefaultAction: specs.ActLog}, known, 0},
	} {
		want := sandbox.Filter{Known: known, Allowed: c.allowed, Partly: c.partly}
		if got := Count(c.filter); got != want {
			t.Errorf("%s: %+v, not %+v", c.name, got, want)
		}
	}
}

// TestJoinToOneThatAllows adds only what such a filter refuses.
func TestJoinToOneThatAllows(t *testing.T) {
	own := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{{Names: []string{"futex", "bpf"}, Action: specs.ActErrno}}}
	whole := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{"futex", "read"}, Action: specs.ActAllow}}}
	joined, more := Join(own, whole, []string{"futex", "read"})
	if len(more) != 1 || more[0] != "futex" {
		t.Errorf("%v", more)
	}
	if got, known := Count(joined).Allowed, len(audit.Known()); got != known-1 {
		t.Errorf("%d of %d", got, known)
	}
}
