package pod

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"road/internal/sandbox/oci/audit"
	"road/internal/sandbox/oci/world"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// beginLog begins a log of system calls.
func beginLog(t *testing.T) *audit.Log {
	t.Helper()
	l, err := audit.Begin(t.Context(), func(f func() error) error { return world.InNS(world.Inside().HostNet, f) })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// callsOf ends a log and gives one name's calls.
func callsOf(t *testing.T, l *audit.Log, name string) []string {
	t.Helper()
	calls, err := l.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names, err := audit.Names(calls[name])
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestSandboxTrace has the calls of a container and its probes logged, and what
// the runtime's default filter denies denied, though the manifest names no filter.
func TestSandboxTrace(t *testing.T) {
	need(t)
	l := beginLog(t)
	o := newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":wait"))
	o.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
		Exec: &corev1.ExecAction{Command: []string{"/app", ":mkdir", "/probed"}}}}
	var filter atomic.Pointer[specs.LinuxSeccomp]
	o.Trace = &Trace{
		Filter:  func(_ string, f *specs.LinuxSeccomp) { filter.Store(f) },
		Session: func(c string, session uint32) { l.Own(session, c) },
	}
	p := launch(t, o)
	ready(t, p)
	run(t, p, ":mkfifo", "/fifo") // not the container's own
	if got := run(t, p, ":unshare"); !strings.Contains(got, "operation not permitted") {
		t.Errorf("unshare: %s", got)
	}
	if err := p.Stop(5); err != nil {
		t.Fatal(err)
	}
	got := callsOf(t, l, "web")
	for _, want := range []string{"execve", "exit_group", "openat", "mkdirat"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %v", want, got)
		}
	}
	if slices.Contains(got, "mknodat") {
		t.Error("what Exec ran counts as the container's")
	}
	if f := filter.Load(); f == nil || f.DefaultAction != specs.ActErrno {
		t.Errorf("%+v", f)
	}
}

// TestSandboxLearnedFilter runs a container under exactly what a traced one
// called, and again without one of the calls.
func TestSandboxLearnedFilter(t *testing.T) {
	need(t)
	img := testImage(t, ocispec.ImageConfig{}, nil)
	l := beginLog(t)
	var filter atomic.Pointer[specs.LinuxSeccomp]
	o := newOptions(t, img, one(":mkdir", "/made", ":exit", "0"))
	o.Spec.RestartPolicy = corev1.RestartPolicyNever
	o.Trace = &Trace{
		Filter:  func(_ string, f *specs.LinuxSeccomp) { filter.Store(f) },
		Session: func(c string, session uint32) { l.Own(session, c) },
	}
	if err := launch(t, o).Completed(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	// The runtime is a Go program, which starts threads when it likes to.
	learned := append(callsOf(t, l, "web"), "clone", "exit", "exit_group", "gettid", "madvise", "mprotect", "munmap", "nanosleep",
		"rseq", "rt_sigprocmask", "rt_sigreturn", "sched_yield", "set_robust_list", "sigaltstack", "tgkill")
	for _, c := range []struct {
		without string
		works   bool
	}{{"", true}, {"mkdirat", false}} {
		f := *filter.Load()
		names := slices.DeleteFunc(slices.Clone(learned), func(n string) bool { return n == c.without })
		f.Syscalls = []specs.LinuxSyscall{{Names: names, Action: specs.ActAllow}}
		b, err := json.Marshal(&f)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "own.json"), b, 0o600); err != nil {
			t.Fatal(err)
		}
		o := newOptions(t, img, one(":mkdir", "/made", ":exit", "0"))
		o.Spec.RestartPolicy = corev1.RestartPolicyNever
		o.SeccompDirs = []string{dir}
		o.Spec.SecurityContext = &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost, LocalhostProfile: ptr("own.json")}}
		p := launch(t, o)
		if err := p.Completed(within(t, 20*time.Second)); (err == nil) != c.works {
			t.Errorf("without %q: %v\n%s", c.without, err, p.Logs("", 5))
		}
	}
}

// TestSandboxUnder runs a program in a container under another filter than the
// container's.
func TestSandboxUnder(t *testing.T) {
	need(t)
	o := newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":sleep", "1m"))
	o.Spec.SecurityContext = &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	p := launch(t, o)
	ready(t, p)
	a, err := p.attempt("")
	if err != nil {
		t.Fatal(err)
	}
	strict := *a.spec.Linux.Seccomp
	strict.Syscalls = slices.Clone(strict.Syscalls)
	for i, s := range strict.Syscalls {
		strict.Syscalls[i].Names = slices.DeleteFunc(slices.Clone(s.Names), func(n string) bool { return n == "mkdirat" })
	}
	root, err := a.stateUnder(&strict)
	if err != nil {
		t.Fatal(err)
	}
	cmd, files, err := a.execIn(root, *a.spec.Process, []string{"/app", ":mkdir", "/tmp/x"})
	if err != nil {
		t.Fatal(err)
	}
	defer files.remove()
	if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "operation not permitted") {
		t.Errorf("under a filter without mkdirat: %s", out)
	}
	if got := run(t, p, ":mkdir", "/tmp/x", ":say", "made"); got != "made" {
		t.Errorf("the container's own filter: %s", got)
	}
	g, err := p.AgentUnder(t.Context(), "", &strict, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if s := bufio.NewScanner(g); !s.Scan() || !strings.HasPrefix(s.Text(), "hello") {
		t.Errorf("the agent said %q", s.Text())
	}
}

func TestStateFilter(t *testing.T) {
	got := stateFilter(&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Architectures: []specs.Arch{specs.ArchX86_64},
		Syscalls: []specs.LinuxSyscall{{Names: []string{"clone3"}, Action: specs.ActErrno, ErrnoRet: ptr(uint(38))},
			{Names: []string{"personality"}, Action: specs.ActLog, Args: []specs.LinuxSeccompArg{{Value: 8, Op: specs.OpEqualTo}}}}})
	// As runc 1.1.5 wrote it.
	const want = `{"default_action": 2, "architectures": ["amd64"], "syscalls": [
		{"name": "clone3", "action": 2, "errnoRet": 38, "args": []},
		{"name": "personality", "action": 6, "errnoRet": null, "args": [{"index": 0, "value": 8, "value_two": 0, "op": 1}]}]}`
	if !sameJSON(got, json.RawMessage(want)) {
		t.Errorf("%s", got)
	}
}
