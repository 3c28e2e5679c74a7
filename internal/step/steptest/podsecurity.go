package steptest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/step"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// podSecurity is the version of Pod Security whose rules the road follows.
var podSecurity = api.MajorMinorVersion(1, 37)

// AgreesWithPodSecurity compares s.Check with Pod Security's own checks, named by
// their ids, on the fixtures of the pod-security-admission module, those of all
// its checks, and on pods, which are specs in flow style.
func AgreesWithPodSecurity(t *testing.T, s *step.Step, ids []string, pods ...string) {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/pod-security-admission").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "test/testdata/*/v1.37/*/*.yaml"))
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d fixtures (%v), there should be more than 100", len(files), err)
	}
	checks := podSecurityChecks(t, ids)
	forbidden := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// Some fixtures have names that no API server takes, and road passes by.
		if !agree(t, s, checks, name, bytes.ReplaceAll(data, []byte("_"), []byte("-"))) {
			forbidden++
		}
	}
	if forbidden == 0 || forbidden == len(files) {
		t.Errorf("%d of %d fixtures are forbidden: the comparison compares nothing", forbidden, len(files))
	}
	for _, spec := range pods {
		agree(t, s, checks, spec, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: "+spec+"\n"))
	}
}

// agree fails t where Check and Pod Security differ over the pod in data, and
// says whether it is allowed.
func agree(t *testing.T, s *step.Step, checks []policy.CheckPodFn, name string, data []byte) bool {
	t.Helper()
	a, err := app.LoadFiles(name, map[string][]byte{"pod.yaml": data})
	if err != nil || len(a.Workloads) != 1 {
		t.Fatalf("%s: %d workloads, %v, %v", name, len(a.Workloads), a.Problems, err)
	}
	allowed := true
	for _, check := range checks {
		allowed = allowed && check(&metav1.ObjectMeta{}, a.Workloads[0].Pod).Allowed
	}
	if got := s.Check(a); allowed != (len(got) == 0) {
		t.Errorf("%s: Pod Security allows: %v; Check says %v", name, allowed, got)
	}
	return allowed
}

// podSecurityChecks gives the checks of these ids as they hold at podSecurity.
func podSecurityChecks(t *testing.T, ids []string) []policy.CheckPodFn {
	t.Helper()
	var out []policy.CheckPodFn
	for _, id := range ids {
		var fn policy.CheckPodFn
		for _, c := range policy.DefaultChecks() {
			if string(c.ID) != id {
				continue
			}
			for _, v := range c.Versions {
				if v.MinimumVersion == podSecurity || v.MinimumVersion.Older(podSecurity) {
					fn = v.CheckPod
				}
			}
		}
		if fn == nil {
			t.Fatalf("Pod Security has no check %q", id)
		}
		out = append(out, fn)
	}
	return out
}
