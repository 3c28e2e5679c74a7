package seccomp

import "road/internal/probe"

// An oracle is a system call with arguments that tell a filter's refusal from a
// missing capability: what is wrong with them is found before, or instead of,
// any look at rights. None of them does anything.
type oracle struct {
	name    string
	numbers map[string]int // by GOARCH
	args    []string
}

const bad = probe.BadPointer

// nowhere is the number of a process that cannot be: above the kernel's limit.
const nowhere = "0x3fffffff"

// here is AT_FDCWD.
const here = "-100"

func numbers(amd64, arm64 int) map[string]int { return map[string]int{"amd64": amd64, "arm64": arm64} }

// oracles are the doors that the runtime's default filter shuts. Without one the
// kernel answers each with an error of its own: bad address, bad file
// descriptor, invalid argument, no such process. personality alone succeeds, for
// a thread that ends at once.
var oracles = []oracle{
	{"mount", numbers(165, 40), []string{bad, bad, bad, "0", bad}},
	{"unshare", numbers(272, 97), []string{"1"}},
	{"setns", numbers(308, 268), []string{"-1", "0"}},
	{"keyctl", numbers(250, 219), []string{"-1"}},
	{"add_key", numbers(248, 217), []string{bad, bad, bad, "1", "-1"}},
	{"bpf", numbers(321, 280), []string{"9999", bad, "8"}},
	{"perf_event_open", numbers(298, 241), []string{"0", "0", "-1", "-1", "0"}},
	{"open_by_handle_at", numbers(304, 265), []string{here, bad, "0"}},
	{"open_tree", numbers(428, 428), []string{here, bad, "0"}},
	{"mount_setattr", numbers(442, 442), []string{here, bad, "0", bad, "0"}},
	{"quotactl", numbers(179, 60), []string{"0xffffffff", "0", "0", "0"}},
	{"clone", numbers(56, 220), []string{"0x10010000", "0", "0", "0", "0"}}, // CLONE_NEWUSER|CLONE_THREAD: never both
	{"clone3", numbers(435, 435), []string{bad, "1"}},
	{"personality", numbers(135, 92), []string{"0x0040000"}}, // ADDR_NO_RANDOMIZE
	{"move_pages", numbers(279, 239), []string{nowhere, "0", "0", "0", "0", "0"}},
	{"kcmp", numbers(312, 272), []string{nowhere, nowhere, "0", "0", "0"}},
	{"pidfd_getfd", numbers(438, 438), []string{"-1", "0", "0"}},
}
