package pod

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"road/internal/sandbox"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
)

// compared are the lines of /proc/PID/status that say what a process may do.
var compared = []string{"Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters"}

func permissions(status string) map[string]string {
	m := map[string]string{}
	for _, line := range strings.Split(status, "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && contains(compared, k) {
			m[k] = strings.Join(strings.Fields(v), " ")
		}
	}
	return m
}

// A number that is another's by now is not killed, and the messenger is; the
// program that it started is killed itself, through the messenger's own word.
func TestKillExec(t *testing.T) {
	run := func(script string) *exec.Cmd {
		c := exec.Command("sh", "-c", script)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Process.Kill(); c.Wait() })
		return c
	}
	dir := t.TempDir()
	stranger, messenger := run("exec sleep 1000"), run("exec sleep 1000")
	files := &execFiles{pid: filepath.Join(dir, "stranger")}
	if err := os.WriteFile(files.pid, []byte(strconv.Itoa(stranger.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := files.kill(messenger); err != nil {
		t.Error(err)
	}
	messenger.Wait()
	if f := statFields(stranger.Process.Pid); len(f) == 0 || f[0] == "Z" {
		t.Error("a stranger was killed")
	}

	files = &execFiles{pid: filepath.Join(dir, "child")}
	messenger = run("sleep 1000 & echo $! >" + files.pid + ".new; mv " + files.pid + ".new " + files.pid + "; wait $!; exit 7")
	for !files.started() {
		time.Sleep(time.Millisecond)
	}
	if err := files.kill(messenger); err != nil {
		t.Error(err)
	}
	messenger.Wait()
	if got := messenger.ProcessState.ExitCode(); got != 7 {
		t.Errorf("the messenger ended with %d, not by itself", got)
	}
}

// What Exec starts may do exactly what the app may, line by line.
func TestSandboxExecEqualsApp(t *testing.T) {
	need(t)
	runtimeDefault := &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	for _, c := range []struct {
		name string
		user string
		pod  corev1.PodSecurityContext
		sc   corev1.SecurityContext
		want map[string]string // a few lines that must be so
	}{
		{"root", "", corev1.PodSecurityContext{}, corev1.SecurityContext{},
			map[string]string{"Uid": "0 0 0 0", "CapEff": "00000000a80425fb", "CapBnd": "00000000a80425fb", "CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "0", "Seccomp": "0"}},
		{"image user", "web", corev1.PodSecurityContext{}, corev1.SecurityContext{},
			map[string]string{"Uid": "1000 1000 1000 1000", "Gid": "2000 2000 2000 2000", "Groups": "2000 3000 3001", "CapEff": "0000000000000000", "CapBnd": "00000000a80425fb"}},
		{"restricted", "", corev1.PodSecurityContext{RunAsUser: ptr(int64(1234)), RunAsGroup: ptr(int64(4444)), FSGroup: ptr(int64(70)), SeccompProfile: runtimeDefault},
			corev1.SecurityContext{AllowPrivilegeEscalation: ptr(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}},
			map[string]string{"Uid": "1234 1234 1234 1234", "Gid": "4444 4444 4444 4444", "Groups": "70 4444", "CapBnd": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2"}},
		{"added capability of another user", "web", corev1.PodSecurityContext{}, corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}}},
			map[string]string{"CapEff": "0000000000000000", "CapBnd": "00000000a80435fb"}},
		{"root with one capability", "", corev1.PodSecurityContext{SeccompProfile: runtimeDefault}, corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"CHOWN"}, Drop: []corev1.Capability{"ALL"}}},
			map[string]string{"CapEff": "0000000000000001", "NoNewPrivs": "0", "Seccomp": "2"}},
		{"privileged", "", corev1.PodSecurityContext{SeccompProfile: runtimeDefault}, corev1.SecurityContext{Privileged: ptr(true)},
			map[string]string{"Seccomp": "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := one(":cat", "/proc/self/status", ":sleep", "1m")
			spec.SecurityContext, spec.Containers[0].SecurityContext = &c.pod, &c.sc
			p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{User: c.user}, nil), spec))
			ready(t, p)
			var app map[string]string
			for range 200 { // ready comes before the program has printed
				if app = permissions(p.Logs("web", 100)); len(app) == len(compared) {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if len(app) != len(compared) {
				t.Fatalf("the app's status has %v", app)
			}
			if d := cmp.Diff(app, permissions(run(t, p, ":cat", "/proc/self/status"))); d != "" {
				t.Errorf("exec differs from the app:\n%s", d)
			}
			for k, v := range c.want {
				if app[k] != v {
					t.Errorf("%s is %s, want %s", k, app[k], v)
				}
			}
		})
	}
}

func TestSandboxExec(t *testing.T) {
	need(t)
	spec := one(":sleep", "1m")
	spec.Containers[0].Env = []corev1.EnvVar{{Name: "WHO", Value: "world"}}
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
	ready(t, p)
	var out, errOut strings.Builder
	code, err := p.Exec(t.Context(), "web", []string{"/app", ":echo", ":exit", "7"}, strings.NewReader("through\n"), &out, &errOut)
	if code != 7 || err != nil || out.String() != "through\n" {
		t.Errorf("status %d, %v, %q, %q", code, err, out.String(), errOut.String())
	}
	if _, err := p.Exec(t.Context(), "web", []string{"/no/such"}, nil, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing program: %v", err)
	}
	if _, err := p.Exec(t.Context(), "none", []string{"/app"}, nil, nil, nil); err == nil {
		t.Error("unknown container: no error")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := p.Exec(ctx, "web", []string{"/app", ":sleep", "59s"}, nil, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("time limit: %v", err)
	}
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("a limit of 0.3 s took %v", d)
	}
	n, err := p.Node("web")
	if err != nil {
		t.Fatal(err)
	}
	late := func(p sandbox.Process) bool { return strings.Contains(p.Command, "59s") }
	if list, err := n.Processes(); err != nil || slices.ContainsFunc(list, late) {
		t.Errorf("what was late still runs: %+v, %v", list, err)
	}
	o, err := p.Run(t.Context(), "", []string{"/app", ":say", "hello $(WHO)", ":exit", "2"})
	if err != nil || o.Stdout != "hello world\n" || o.Status != 2 {
		t.Errorf("run: %+v, %v", o, err)
	}
}

func TestHeadIsBounded(t *testing.T) {
	h := head{limit: 5}
	for _, s := range []string{"abc", "defg", "h"} {
		if n, err := h.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("write %q: %d, %v", s, n, err)
		}
	}
	if h.String() != "abcde" {
		t.Errorf("kept %q", h.String())
	}
}
