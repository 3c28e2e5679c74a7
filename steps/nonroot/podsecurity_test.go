package nonroot

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/app"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// version is the Pod Security version whose rules the step follows.
var version = api.MajorMinorVersion(1, 37)

// unrelaxed is the last version before pods with hostUsers: false were let off.
var unrelaxed = api.MajorMinorVersion(1, 34)

// TestAgreesWithPodSecurity compares Check with Pod Security's own two checks on
// the fixtures of the pod-security-admission module, those of all its checks.
func TestAgreesWithPodSecurity(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/pod-security-admission").Output()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "test/testdata/*/v1.37/*/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("found %d fixtures, there should be more than 100", len(files))
	}
	forbidden := 0
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// Some fixtures have names that no API server takes, and road passes by.
		if !agree(t, name, bytes.ReplaceAll(data, []byte("_"), []byte("-"))) {
			forbidden++
		}
	}
	if forbidden == 0 || forbidden == len(files) {
		t.Errorf("%d of %d fixtures are forbidden: the comparison compares nothing", forbidden, len(files))
	}
}

// TestAgreesOnUserNamespaces has the step ask the same of pods in a user
// namespace as of others, where Pod Security asks nothing since 1.35.
func TestAgreesOnUserNamespaces(t *testing.T) {
	for _, spec := range []string{
		"hostUsers: false",
		"hostUsers: false, securityContext: {runAsNonRoot: true}",
		"hostUsers: false, securityContext: {runAsNonRoot: true, runAsUser: 0}",
		"hostUsers: true",
	} {
		agree(t, spec, []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {"+spec+", containers: [{name: c, image: i}]}\n"))
	}
}

// agree fails t where Check and Pod Security differ over the pod in data, and
// says whether it is allowed.
func agree(t *testing.T, name string, data []byte) bool {
	t.Helper()
	a, err := app.LoadFiles(name, map[string][]byte{"pod.yaml": data})
	if err != nil || len(a.Workloads) != 1 {
		t.Fatalf("%s: %d workloads, %v, %v", name, len(a.Workloads), a.Problems, err)
	}
	w := a.Workloads[0]
	v := version
	if w.Pod.HostUsers != nil && !*w.Pod.HostUsers {
		v = unrelaxed
	}
	allowed, found := true, 0
	for _, c := range policy.DefaultChecks() {
		if c.ID == "runAsNonRoot" || c.ID == "runAsUser" {
			found++
			allowed = allowed && at(c, v)(&metav1.ObjectMeta{}, w.Pod).Allowed
		}
	}
	if found != 2 {
		t.Fatalf("found %d of Pod Security's two checks", found)
	}
	if got := Step.Check(a); allowed != (len(got) == 0) {
		t.Errorf("%s: Pod Security allows: %v; Check says %v", name, allowed, got)
	}
	return allowed
}

// at gives the function of a check that holds at version v.
func at(c policy.Check, v api.Version) policy.CheckPodFn {
	var fn policy.CheckPodFn
	for _, vc := range c.Versions {
		if vc.MinimumVersion == v || vc.MinimumVersion.Older(v) {
			fn = vc.CheckPod
		}
	}
	return fn
}
