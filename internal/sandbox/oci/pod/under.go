package pod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// Filter gives the system call filter of a container that runs; nil is none.
func (p *Pod) Filter(name string) (*specs.LinuxSeccomp, error) {
	a, err := p.attempt(name)
	if err != nil {
		return nil, err
	}
	return a.spec.Linux.Seccomp, nil
}

// LocalhostFilter gives the filter of a container that runs where it is a profile
// of the node's (seccompProfile.type Localhost), and whole, the one that the
// runtime would have given the same container; nil is that it is no such profile.
func (p *Pod) LocalhostFilter(name string) (own, whole *specs.LinuxSeccomp, err error) {
	a, err := p.attempt(name)
	if err != nil {
		return nil, nil, err
	}
	field := seccompField(p.spec.SecurityContext, a.c.spec)
	if field == nil || field.Type != corev1.SeccompProfileTypeLocalhost {
		return nil, nil, nil
	}
	return a.spec.Linux.Seccomp, seccomp.DefaultProfile(a.spec), nil
}

// AgentUnder is Agent under another system call filter than the container's: a
// profile that was learned from a program may be too tight for the probe to start
// at all. session, where it is not nil, is told the probe's audit session before
// it starts. The container itself keeps its filter.
func (p *Pod) AgentUnder(ctx context.Context, name string, f *specs.LinuxSeccomp, session func(uint32)) (*Agent, error) {
	if p.o.ProbePath == "" {
		return nil, errors.New("the pod was started without a probe")
	}
	a, err := p.attempt(name)
	if err != nil {
		return nil, err
	}
	root, err := a.stateUnder(f)
	if err != nil {
		return nil, err
	}
	start := (*exec.Cmd).Start
	if session != nil {
		start = func(cmd *exec.Cmd) error { return inSession(cmd, session) }
	}
	g, err := a.agent(ctx, root, start, []string{ProbeDestination, "agent"})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	return g, nil
}

// stateUnder gives a root directory for the runtime in which the container has
// filter f. The runtime takes the filter of what it executes from its state of the
// container, and from nowhere else.
func (a *attempt) stateUnder(f *specs.LinuxSeccomp) (root string, err error) {
	b, err := os.ReadFile(filepath.Join(a.p.o.RuncRoot, a.id, "state.json"))
	if err != nil {
		return "", fmt.Errorf("another filter for the probe: %w", err)
	}
	var state, config map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(b, &state), json.Unmarshal(state["config"], &config)); err != nil {
		return "", fmt.Errorf("another filter for the probe: the state of %s: %w", a.p.o.Runtime, err)
	}
	if own := stateFilter(a.spec.Linux.Seccomp); !sameJSON(own, config["seccomp"]) {
		return "", fmt.Errorf("another filter for the probe: %s keeps filters in a form that is not known here", a.p.o.Runtime)
	}
	config["seccomp"] = stateFilter(f)
	state["config"] = mustMarshal(config)
	if root, err = os.MkdirTemp(a.bundle, "under-"); err != nil {
		return "", err
	}
	if err = os.Mkdir(filepath.Join(root, a.id), 0o711); err == nil {
		err = os.WriteFile(filepath.Join(root, a.id, "state.json"), mustMarshal(state), 0o600)
	}
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(root))
	}
	return root, nil
}

// mustMarshal encodes maps and structs of plain values, which cannot fail.
func mustMarshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// sameJSON compares what two texts mean; a key with null means what none does.
func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	if json.Unmarshal(a, &x) != nil || json.Unmarshal(b, &y) != nil {
		return false
	}
	return reflect.DeepEqual(withoutNull(x), withoutNull(y))
}

func withoutNull(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if v[k] = withoutNull(e); e == nil {
				delete(v, k)
			}
		}
	case []any:
		for i, e := range v {
			v[i] = withoutNull(e)
		}
	}
	return v
}

// How runc numbers actions and comparisons in its state, and names architectures.
var (
	stateActions = map[specs.LinuxSeccompAction]int{
		specs.ActKill: 1, specs.ActErrno: 2, specs.ActTrap: 3, specs.ActAllow: 4, specs.ActTrace: 5, specs.ActLog: 6,
		specs.ActNotify: 7, specs.ActKillThread: 8, specs.ActKillProcess: 9,
	}
	stateOps = map[specs.LinuxSeccompOperator]int{
		specs.OpEqualTo: 1, specs.OpNotEqual: 2, specs.OpGreaterThan: 3, specs.OpGreaterEqual: 4,
		specs.OpLessThan: 5, specs.OpLessEqual: 6, specs.OpMaskedEqual: 7,
	}
	stateArchs = map[specs.Arch]string{specs.ArchX86: "x86", specs.ArchX86_64: "amd64", specs.ArchX32: "x32",
		specs.ArchARM: "arm", specs.ArchAARCH64: "arm64"}
)

// stateFilter writes a filter as runc keeps it in its state: one entry for each
// name.
func stateFilter(f *specs.LinuxSeccomp) json.RawMessage {
	if f == nil {
		return json.RawMessage("null")
	}
	type arg struct {
		Index    uint   `json:"index"`
		Value    uint64 `json:"value"`
		ValueTwo uint64 `json:"value_two"`
		Op       int    `json:"op"`
	}
	type entry struct {
		Name     string `json:"name"`
		Action   int    `json:"action"`
		ErrnoRet *uint  `json:"errnoRet"`
		Args     []arg  `json:"args"`
	}
	var archs []string // none is null, other than no entries
	entries := []entry{}
	for _, a := range f.Architectures {
		name := stateArchs[a]
		if name == "" {
			name = strings.ToLower(strings.TrimPrefix(string(a), "SCMP_ARCH_"))
		}
		archs = append(archs, name)
	}
	for _, s := range f.Syscalls {
		args := []arg{}
		for _, a := range s.Args {
			args = append(args, arg{a.Index, a.Value, a.ValueTwo, stateOps[a.Op]})
		}
		for _, name := range s.Names {
			entries = append(entries, entry{name, stateActions[s.Action], s.ErrnoRet, args})
		}
	}
	return mustMarshal(map[string]any{"default_action": stateActions[f.DefaultAction], "default_errno_ret": f.DefaultErrnoRet,
		"architectures": archs, "syscalls": entries})
}
