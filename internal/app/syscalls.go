package app

import "slices"

// SysCalls are the system calls that a container made from its start to its end:
// its own program, its probes and hooks, and the runtime on the way into it.
type SysCalls struct {
	Names []string `json:"names"` // sorted

	// Rules are what the runtime's default filter says of them beyond their names:
	// those that it allows with certain arguments only, and those that it refuses in
	// another way than the others.
	Rules []SysCallRule `json:"rules,omitempty"`

	Architecture string `json:"architecture"` // that they were made on, as filters name it: SCMP_ARCH_X86_64
	Runtime      string `json:"runtime"`      // "runc 1.1.5"

	// Fault says why they cannot be a filter: records were lost, or the application
	// did not work under them. "" where they can.
	Fault string `json:"fault,omitempty"`
}

// A SysCallRule is one rule of a filter, as OCI runtimes read it.
type SysCallRule struct {
	Names    []string     `json:"names"`
	Action   string       `json:"action"` // SCMP_ACT_*
	ErrnoRet *uint        `json:"errnoRet,omitempty"`
	Args     []SysCallArg `json:"args,omitempty"` // all of them must hold
}

// A SysCallArg compares one argument of a call.
type SysCallArg struct {
	Index    uint   `json:"index"`
	Value    uint64 `json:"value"`
	ValueTwo uint64 `json:"valueTwo,omitempty"`
	Op       string `json:"op"` // SCMP_CMP_*
}

// Add takes over what another run showed; what is not about names is the newer
// run's.
func (c *SysCalls) Add(newer SysCalls) {
	names := append(slices.Clone(c.Names), newer.Names...)
	*c = newer
	slices.Sort(names)
	c.Names = slices.Compact(names)
}
