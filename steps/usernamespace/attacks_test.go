package usernamespace

import (
	"context"
	"testing"

	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		file, process int
		want          step.Verdict // "" for an error
	}{
		{0, 0, step.Succeeded},
		{2000224256, 2000224256, step.Blocked},
		{65536, 65536, step.Blocked},
		{1234, 1234, ""},
		{0, 65536, ""},
		{65536, 0, ""},
		{65536, 131072, ""},
	} {
		out, err := judge("/v/x", sandbox.File{UID: c.file}, sandbox.Process{UID: c.process})
		if out.Verdict != c.want || (err == nil) != (c.want != "") || (out.Evidence == "") != (c.want == "") {
			t.Errorf("%+v: %+v, %v", c, out, err)
		}
	}
}

// TestAsRoot has no word of a manifest keep root out.
func TestAsRoot(t *testing.T) {
	yes, user := true, int64(1234)
	spec := &corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsUser: &user, RunAsNonRoot: &yes},
		InitContainers:  []corev1.Container{{}},
		Containers:      []corev1.Container{{SecurityContext: &corev1.SecurityContext{RunAsUser: &user, RunAsNonRoot: &yes, ReadOnlyRootFilesystem: &yes}}},
	}
	asRoot(spec)
	if spec.SecurityContext.RunAsNonRoot != nil {
		t.Error("the pod's runAsNonRoot stays")
	}
	for _, c := range append(spec.InitContainers, spec.Containers...) {
		if sc := c.SecurityContext; *sc.RunAsUser != 0 || *sc.RunAsGroup != 0 || sc.RunAsNonRoot != nil {
			t.Errorf("%+v", sc)
		}
	}
	if ro := spec.Containers[0].SecurityContext.ReadOnlyRootFilesystem; ro == nil || !*ro {
		t.Error("the read-only root is gone")
	}
	asRoot(&corev1.PodSpec{})
}

func TestUser(t *testing.T) {
	if got := user("Name:\tx\nUid:\t1\t1234\t3\t4\nGid:\t0\t0\t0\t0\n"); got != "1234" {
		t.Errorf("got %q", got)
	}
	if got := user(""); got != "" {
		t.Errorf("an empty status has user %q", got)
	}
}

// TestWithoutTheWorld has an attack that lacks what it needs be unproven.
func TestWithoutTheWorld(t *testing.T) {
	for _, a := range attacks {
		if out, err := a.Run(context.Background(), &sandbox.Scene{}); err == nil {
			t.Errorf("%s: %+v", a.Name, out)
		}
	}
}
