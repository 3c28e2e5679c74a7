package audit

import (
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"
)

//go:generate go run gen.go

// A table names system calls by number.
type table map[int]string

// An architecture is one whose system calls have names here.
type architecture struct {
	audit  uint32 // AUDIT_ARCH_*
	filter string // as filters name it
	calls  table
}

var architectures = map[string]architecture{ // by GOARCH
	"amd64": {unix.AUDIT_ARCH_X86_64, "SCMP_ARCH_X86_64", amd64},
	"arm64": {unix.AUDIT_ARCH_AARCH64, "SCMP_ARCH_AARCH64", arm64},
}

// Architecture names the machine's architecture as filters do, "" where its
// system calls are not known here.
func Architecture() string { return architectures[runtime.GOARCH].filter }

// Names gives the sorted names of calls. A call of another architecture than the
// machine's, such as that of a 32-bit program, has no name here and is an error.
func Names(calls []Call) ([]string, error) {
	a, ok := architectures[runtime.GOARCH]
	if !ok {
		return nil, fmt.Errorf("the system calls of %s have no names here", runtime.GOARCH)
	}
	var names []string
	for _, c := range calls {
		if c.Arch != a.audit {
			return nil, fmt.Errorf("a program of another architecture (audit arch %x) made system call %d", c.Arch, c.Number)
		}
		name := a.calls[c.Number]
		if name == "" {
			return nil, fmt.Errorf("system call %d has no name here", c.Number)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// Known gives the names of all system calls of this machine.
var Known = sync.OnceValue(func() map[string]bool {
	known := map[string]bool{}
	for _, name := range architectures[runtime.GOARCH].calls {
		known[name] = true
	}
	return known
})
