package pod

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shared is a pod spec with an emptyDir mounted at /shared in every container.
func shared(init, normal []corev1.Container) *corev1.PodSpec {
	s := &corev1.PodSpec{InitContainers: init, Containers: normal, Volumes: []corev1.Volume{{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}}
	for _, cs := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range cs {
			cs[i].Image = "test"
			cs[i].VolumeMounts = append(cs[i].VolumeMounts, corev1.VolumeMount{Name: "shared", MountPath: "/shared"})
		}
	}
	return s
}

func TestSandboxInitAndSidecar(t *testing.T) {
	need(t)
	always := corev1.ContainerRestartPolicyAlways
	spec := shared([]corev1.Container{
		{Name: "first", Args: []string{":write", "/shared/first", "1"}},
		{Name: "again", Args: []string{":cat", "/shared/first", ":count", "/shared/count", "3"}},
		{Name: "side", Args: []string{":sleep", "300ms", ":write", "/shared/up", "yes", ":serve", "9000"}, RestartPolicy: &always,
			StartupProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(9000)}}}},
	}, []corev1.Container{
		{Name: "web", Args: []string{":cat", "/shared/up", ":sleep", "1m"}},
		{Name: "two", Args: []string{":sleep", "1m"}},
	})
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
	ready(t, p)
	s := p.Status()
	if s.Containers[1].Restarts != 2 || s.Containers[1].Reason != "Completed" {
		t.Errorf("the init container that fails twice: %+v", s.Containers[1])
	}
	for _, i := range []int{2, 3, 4} {
		if c := s.Containers[i]; c.Phase != Running || !c.Ready {
			t.Errorf("%+v", c)
		}
	}
	for range 100 {
		if p.Logs("web", 1) != "" {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if got := p.Logs("web", 9); got != "yes" {
		t.Errorf("web started before its sidecar was up: %q", got)
	}
	// Both containers see one network, one IPC and one host name.
	if got := run(t, p, ":ls", "/proc/self/ns"); got == "" {
		t.Error("no namespaces")
	}
}

func TestSandboxFinite(t *testing.T) {
	need(t)
	img := testImage(t, ocispec.ImageConfig{}, nil)
	spec := shared(nil, []corev1.Container{{Name: "job", Args: []string{":count", "/shared/n", "3"}}})
	spec.RestartPolicy = corev1.RestartPolicyOnFailure
	p := launch(t, newOptions(t, img, spec))
	if err := p.Completed(within(t, 20*time.Second)); err != nil {
		t.Fatal(err)
	}
	if c := p.Status().Containers[0]; c.Restarts != 2 || c.ExitCode != 0 {
		t.Errorf("%+v", c)
	}

	spec = one(":say", "no luck", ":exit", "4")
	spec.RestartPolicy = corev1.RestartPolicyNever
	p = launch(t, newOptions(t, img, spec))
	err := p.Completed(within(t, 20*time.Second))
	var failed *FailedError
	if !errors.As(err, &failed) || failed.Reason != "container web: exit status 4" || !strings.Contains(failed.Logs, "no luck") {
		t.Errorf("%v: %+v", err, failed)
	}
}

func TestSandboxCrashLoop(t *testing.T) {
	need(t)
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":write", "/data/left", "x", ":ls", "/data", ":exit", "1")))
	began := time.Now()
	err := p.Ready(within(t, 30*time.Second))
	if err == nil || !strings.Contains(err.Error(), "container web: exit status 1, ") {
		t.Fatalf("%v", err)
	}
	t.Logf("%v after %v", err, time.Since(began))
	// Each run has a fresh writable layer, and what was written is remembered.
	if got := p.Logs("web", 4); strings.Count(got, "left") != 2*strings.Count(got, "wrote") {
		t.Errorf("log %q", got)
	}
	if w, _ := p.Written("web"); len(w) != 1 || w[0] != "/data" {
		t.Errorf("written %v", w)
	}
}

func TestSandboxNeverStarts(t *testing.T) {
	need(t)
	img := testImage(t, ocispec.ImageConfig{User: "web"}, nil)
	for _, c := range []struct {
		name   string
		change func(*corev1.PodSpec)
		want   string
	}{
		{"non-numeric user", func(s *corev1.PodSpec) { s.SecurityContext = &corev1.PodSecurityContext{RunAsNonRoot: ptr(true)} },
			"CreateContainerConfigError: container has runAsNonRoot and image has non-numeric user (web), cannot verify user is non-root"},
		{"missing secret", func(s *corev1.PodSpec) {
			s.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "db"}}}}
		}, `CreateContainerConfigError: secret "db" not found`},
		{"image not prepared", func(s *corev1.PodSpec) { s.Containers[0].Image = "other:1" }, `image "other:1" is not prepared`},
		{"no such program", func(s *corev1.PodSpec) {
			s.Containers[0].Command, s.RestartPolicy = []string{"/no/such"}, corev1.RestartPolicyNever
		}, "/no/such"},
	} {
		spec := one(":sleep", "1m")
		c.change(spec)
		p := launch(t, newOptions(t, img, spec))
		if err := p.Ready(within(t, 10*time.Second)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	spec := one(":sleep", "1m")
	spec.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "gone"}}}}
	o := newOptions(t, img, spec)
	if _, err := Start(t.Context(), o); err == nil || err.Error() != `MountVolume.SetUp failed for volume "v": secret "gone" not found` {
		t.Errorf("missing volume: %v", err)
	}
}

func TestSandboxLiveness(t *testing.T) {
	need(t)
	spec := one(":serve", "8080")
	spec.Containers[0].Ports = []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}
	get := corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromString("http")}}
	spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: get, PeriodSeconds: 1, FailureThreshold: 1}
	spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: get, PeriodSeconds: 1, FailureThreshold: 2}
	p := launch(t, newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec))
	ready(t, p)
	run(t, p, ":write", "/unhealthy", "x")
	waitFor(t, p, "not ready", func(s Status) bool { return !s.Ready })
	waitFor(t, p, "restarted", func(s Status) bool { return s.Containers[0].Restarts == 1 && s.Ready })
}

// waitFor waits for a state of the pod.
func waitFor(t *testing.T, p *Pod, what string, f func(Status) bool) {
	t.Helper()
	ctx := within(t, 20*time.Second)
	for {
		changed := p.Changed()
		if f(p.Status()) {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("never %s: %+v", what, p.Status())
		}
	}
}

func TestSandboxExecProbeAndHooks(t *testing.T) {
	need(t)
	claim := diskDir(t)
	spec := one(":wait", "/claim/signal")
	c := &spec.Containers[0]
	spec.Volumes = []corev1.Volume{{Name: "claim", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}}}
	c.VolumeMounts = []corev1.VolumeMount{{Name: "claim", MountPath: "/claim"}}
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/app", ":healthy", "/claim/started"}}}}
	c.Lifecycle = &corev1.Lifecycle{
		PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/app", ":sleep", "200ms", ":write", "/claim/started", "x"}}},
		PreStop:   &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/app", ":write", "/claim/stopping", "x"}}},
	}
	o := newOptions(t, testImage(t, ocispec.ImageConfig{StopSignal: "SIGQUIT"}, nil), spec)
	o.Sources.Claim = func(string) (string, error) { return claim, nil }
	p := launch(t, o)
	ready(t, p)
	if err := p.Stop(-1); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"started": "x", "stopping": "x", "signal": "quit"} {
		if got := read(t, claim, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestSandboxStopTakesItsGrace(t *testing.T) {
	need(t)
	img := testImage(t, ocispec.ImageConfig{}, nil)
	for _, grace := range []int64{0, 1} {
		p := launch(t, newOptions(t, img, one(":wait", "ignore")))
		waitLog(t, p, "waiting")
		began := time.Now()
		if err := p.Stop(grace); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < time.Duration(grace)*time.Second || d > time.Duration(grace)*time.Second+5*time.Second {
			t.Errorf("grace %d s: stopped after %v", grace, d)
		}
	}
	// A second Stop hurries the first.
	p := launch(t, newOptions(t, img, one(":wait", "ignore")))
	waitLog(t, p, "waiting")
	go p.Stop(60)
	time.Sleep(200 * time.Millisecond)
	began := time.Now()
	if err := p.Stop(0); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("%v after %v", err, time.Since(began))
	}
	// So does the end of the context.
	ctx, cancel := context.WithCancel(t.Context())
	p, err := Start(ctx, newOptions(t, img, one(":wait", "ignore")))
	if err != nil {
		t.Fatal(err)
	}
	waitLog(t, p, "waiting")
	cancel()
	select {
	case <-p.closed:
	case <-time.After(10 * time.Second):
		t.Error("the pod outlives its context")
	}
	checkGone(t, p)
}

func waitLog(t *testing.T, p *Pod, line string) {
	t.Helper()
	for range 2000 {
		if strings.Contains(p.Logs("", 50), line) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("never said %q: %q", line, p.Logs("", 50))
}
