package pod

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// bare is a pod for the pure part: nothing of it is made.
func bare(spec *corev1.PodSpec) *Pod {
	return &Pod{
		o:    Options{Name: "web-0", Namespace: "shop", Hostname: "web-0", IP: "10.244.0.7", NodeIP: "10.0.0.1", NodeName: "road"},
		spec: spec, uid: "11111111-2222-4333-8444-555555555555",
	}
}

func TestEffective(t *testing.T) {
	pod := &corev1.PodSecurityContext{RunAsUser: ptr(int64(1)), RunAsGroup: ptr(int64(2)), RunAsNonRoot: ptr(true),
		SELinuxOptions: &corev1.SELinuxOptions{Level: "pod"}}
	own := &corev1.SecurityContext{RunAsUser: ptr(int64(3)), RunAsNonRoot: ptr(false),
		SELinuxOptions: &corev1.SELinuxOptions{Role: "own"}, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	got := effective(pod, &corev1.Container{SecurityContext: own})
	want := &corev1.SecurityContext{RunAsUser: ptr(int64(3)), RunAsGroup: ptr(int64(2)), RunAsNonRoot: ptr(false),
		SELinuxOptions: &corev1.SELinuxOptions{Role: "own"}, Capabilities: own.Capabilities}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if own.RunAsGroup != nil {
		t.Error("the container's own context was changed")
	}
	got = effective(pod, &corev1.Container{})
	if *got.RunAsUser != 1 || !*got.RunAsNonRoot {
		t.Errorf("without a context of its own: %+v", got)
	}
	if got := effective(nil, &corev1.Container{}); got.RunAsUser != nil {
		t.Errorf("without any: %+v", got)
	}
}

func TestVerifyNonRoot(t *testing.T) {
	where := ` (pod: "web-0_shop(11111111-2222-4333-8444-555555555555)", container: web)`
	for _, c := range []struct {
		name    string
		sc      corev1.SecurityContext
		imgUser string
		want    string
	}{
		{"not asked for", corev1.SecurityContext{}, "", ""},
		{"false", corev1.SecurityContext{RunAsNonRoot: ptr(false)}, "", ""},
		{"no USER", corev1.SecurityContext{RunAsNonRoot: ptr(true)}, "", "container has runAsNonRoot and image will run as root" + where},
		{"USER 0", corev1.SecurityContext{RunAsNonRoot: ptr(true)}, "0:0", "container has runAsNonRoot and image will run as root" + where},
		{"USER root", corev1.SecurityContext{RunAsNonRoot: ptr(true)}, "root", "container has runAsNonRoot and image has non-numeric user (root), cannot verify user is non-root" + where},
		{"USER web", corev1.SecurityContext{RunAsNonRoot: ptr(true)}, "web:web", "container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root" + where},
		{"USER 5678", corev1.SecurityContext{RunAsNonRoot: ptr(true)}, "5678", ""},
		{"runAsUser set", corev1.SecurityContext{RunAsNonRoot: ptr(true), RunAsUser: ptr(int64(5))}, "root", ""},
		{"runAsUser 0", corev1.SecurityContext{RunAsNonRoot: ptr(true), RunAsUser: new(int64)}, "5678", "container's runAsUser breaks non-root policy" + where},
	} {
		got := ""
		if err := bare(&corev1.PodSpec{}).verifyNonRoot(&corev1.Container{Name: "web", SecurityContext: &c.sc}, c.imgUser); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestCapabilities(t *testing.T) {
	current, err := cap.Current()
	if err != nil {
		t.Fatal(err)
	}
	without := func(all []string, drop ...string) []string {
		var out []string
		for _, c := range all {
			if !contains(drop, c) {
				out = append(out, c)
			}
		}
		return out
	}
	for _, c := range []struct {
		name      string
		add, drop []corev1.Capability
		want      []string
	}{
		{"default", nil, nil, defaultCapabilities},
		{"drop all", nil, []corev1.Capability{"all"}, nil},
		{"drop all, add one", []corev1.Capability{"NET_BIND_SERVICE"}, []corev1.Capability{"ALL"}, []string{"CAP_NET_BIND_SERVICE"}},
		{"add and drop the same", []corev1.Capability{"SYS_TIME"}, []corev1.Capability{"SYS_TIME"}, defaultCapabilities},
		{"drop one", nil, []corev1.Capability{"net_raw"}, without(defaultCapabilities, "CAP_NET_RAW")},
		{"all but one", []corev1.Capability{"ALL"}, []corev1.Capability{"CHOWN"}, without(current, "CAP_CHOWN")},
		{"add all and drop all", []corev1.Capability{"ALL"}, []corev1.Capability{"ALL"}, nil},
		{"a name with CAP_ drops nothing", nil, []corev1.Capability{"CAP_NET_RAW"}, defaultCapabilities},
	} {
		got, err := capabilities(&corev1.SecurityContext{Capabilities: &corev1.Capabilities{Add: c.add, Drop: c.drop}})
		if d := cmp.Diff(c.want, got); err != nil || d != "" && len(c.want)+len(got) > 0 {
			t.Errorf("%s: %v\n%s", c.name, err, d)
		}
	}
	if got, _ := capabilities(&corev1.SecurityContext{Privileged: ptr(true)}); cmp.Diff(current, got) != "" {
		t.Errorf("privileged: %v", got)
	}
}

func TestVerifyEscalation(t *testing.T) {
	for want, sc := range map[string]corev1.SecurityContext{
		"":           {AllowPrivilegeEscalation: ptr(false), Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}}},
		"privileged": {AllowPrivilegeEscalation: ptr(false), Privileged: ptr(true)},
		"SYS_ADMIN":  {AllowPrivilegeEscalation: ptr(false), Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"SYS_ADMIN"}}},
	} {
		err := verifyEscalation(&sc)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestSeccompProfile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "own.json"), []byte(`{"defaultAction":"SCMP_ACT_LOG"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	profile := func(kind corev1.SeccompProfileType, name *string) *corev1.SeccompProfile {
		return &corev1.SeccompProfile{Type: kind, LocalhostProfile: name}
	}
	def, un, own := profile("RuntimeDefault", nil), profile("Unconfined", nil), profile("Localhost", ptr("own.json"))
	for _, c := range []struct {
		name   string
		pod, c *corev1.SeccompProfile
		priv   bool
		want   specs.LinuxSeccompAction
	}{
		{"unset is unconfined", nil, nil, false, ""},
		{"the pod's", def, nil, false, specs.ActErrno},
		{"the container's wins", def, un, false, ""},
		{"from a file", un, own, false, specs.ActLog},
		{"privileged has none", def, def, true, ""},
	} {
		ctr := &corev1.Container{SecurityContext: &corev1.SecurityContext{SeccompProfile: c.c, Privileged: &c.priv}}
		s := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}, Linux: &specs.Linux{}}
		got, err := seccompProfile(&corev1.PodSecurityContext{SeccompProfile: c.pod}, ctr, []string{t.TempDir(), dir}, s)
		if err != nil || (got == nil) != (c.want == "") || got != nil && got.DefaultAction != c.want {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
	for _, name := range []*string{nil, ptr("missing.json"), ptr("../own.json")} {
		if _, err := localhostProfile([]string{dir}, name); err == nil {
			t.Errorf("%v: no error", name)
		}
	}
	if _, err := localhostProfile([]string{dir}, ptr("missing.json")); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "open /var/lib/kubelet/seccomp/missing.json: no such file") {
		t.Errorf("missing file: %v", err)
	}
}

// The default profile depends on the capabilities, so it must come after them.
func TestSeccompFollowsCapabilities(t *testing.T) {
	allowed := func(caps []string) bool {
		s := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: caps}}, Linux: &specs.Linux{}}
		p, err := seccompProfile(&corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: "RuntimeDefault"}}, &corev1.Container{}, nil, s)
		if err != nil {
			t.Fatal(err)
		}
		for _, sc := range p.Syscalls {
			if sc.Action == specs.ActAllow && contains(sc.Names, "mount") {
				return true
			}
		}
		return false
	}
	if allowed(nil) || !allowed([]string{"CAP_SYS_ADMIN"}) {
		t.Error("mount must be allowed with CAP_SYS_ADMIN alone")
	}
}
