package steps

import (
	"fmt"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/step"
)

// TestTargets holds what older clusters do not bear against what was true of them,
// step by step; what is not named is borne.
func TestTargets(t *testing.T) {
	const pod = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: i, ports: [{containerPort: %d}]}]}
`
	for _, c := range []struct {
		target string
		port   int
		want   map[string]string // by step, what the reason has
	}{
		{"", 80, nil},
		{`kubernetes: "1.37"`, 80, nil},
		{`kubernetes: "1.36", runtime: containerd-2.0`, 80, nil},
		{`runtime: containerd-1.7`, 80, map[string]string{"user-namespace": "containerd 1.7 has no user namespaces for pods (2.0 has)"}},
		{`kubernetes: "1.33", runtime: cri-o-1.33`, 80, nil},
		{`runtime: cri-o-1.24`, 80, map[string]string{"user-namespace": "cri-o 1.24 has no"}},
		{`kubernetes: "1.32"`, 80, map[string]string{"user-namespace": "Kubernetes 1.32 takes hostUsers: false only with a feature gate"}},
		{`kubernetes: "1.23"`, 80, map[string]string{"user-namespace": "1.23"}},
		{`kubernetes: "1.22"`, 80, map[string]string{"user-namespace": "1.22", "admission": "1.22 has no Pod Security admission"}},
		{`kubernetes: "1.21"`, 80, map[string]string{"user-namespace": "1.21", "admission": "1.21", "non-root": "listens below 1024"}},
		{`kubernetes: "1.21"`, 8080, map[string]string{"user-namespace": "1.21", "admission": "1.21"}},
		{`kubernetes: "1.18"`, 8080, map[string]string{"user-namespace": "1.18", "admission": "1.18", "seccomp": "1.18 has no seccompProfile"}},
	} {
		files := map[string][]byte{"pod.yaml": fmt.Appendf(nil, pod, c.port), "road.yaml": []byte("apiVersion: road/v1\ntarget: {" + c.target + "}\n")}
		a, err := app.LoadFiles("shop", files)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range All {
			why := step.Unborne(s, a, "pod/web")
			want, left := c.want[s.Name]
			if left != (why != "") || !strings.Contains(why, want) {
				t.Errorf("target {%s}, port %d: %s: %q, want %q", c.target, c.port, s.Name, why, want)
			}
		}
	}
}
