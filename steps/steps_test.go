package steps

import (
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"road/internal/step"
)

func TestRoadIsValid(t *testing.T) {
	if len(All) == 0 {
		t.Fatal("the road has no step")
	}
	if err := step.Validate(All); err != nil {
		t.Error(err)
	}
}

// TestEveryFolderIsOnTheRoad finds a step that was written and never listed.
func TestEveryFolderIsOnTheRoad(t *testing.T) {
	data, err := os.ReadFile("steps.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range folders(t) {
		if !strings.Contains(string(data), "\t"+dir+".Step,") {
			t.Errorf("steps.go does not list %s.Step", dir)
		}
	}
}

// allowed are the packages that a step may import, and why.
var allowed = map[string]string{
	"road/internal/app":     "what it looks at",
	"road/internal/edit":    "what it changes",
	"road/internal/step":    "what it is",
	"road/internal/sandbox": "where its attacks act",
	"road/internal/probe":   "what the attacker's code inside can be asked for",
}

// TestImports keeps steps apart from each other and from the engines, so that
// each can be read, tested and taken out alone.
func TestImports(t *testing.T) {
	for _, dir := range folders(t) {
		p, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range p.Imports {
			standard := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".") && !strings.HasPrefix(path, "road/")
			types := strings.HasPrefix(path, "k8s.io/api/") || strings.HasPrefix(path, "k8s.io/apimachinery/pkg/apis/") ||
				strings.HasPrefix(path, "k8s.io/pod-security-admission/") || // Kubernetes' own rules, as pure as the types
				path == "k8s.io/apimachinery/pkg/runtime" || path == "k8s.io/apimachinery/pkg/api/resource"
			if !standard && !types && allowed[path] == "" {
				t.Errorf("steps/%s imports %s; a step may only import the standard library, the types of k8s.io and %v", dir, path, keys(allowed))
			}
		}
	}
}

// TestDependencies looks at what comes in behind the imports.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 10 {
		t.Fatalf("go list -deps gave %d packages", len(deps))
	}
	for _, d := range deps {
		for _, never := range []string{"k8s.io/client-go", "road/internal/sandbox/", "road/internal/walk", "road/internal/image", "github.com/containerd/go-runc"} {
			if strings.HasPrefix(d, never) {
				t.Errorf("a step depends on %s", d)
			}
		}
	}
}

// folders gives the folders of the steps.
func folders(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*/step.go")
	if err != nil || len(found) == 0 {
		t.Fatalf("no step found (%v)", err)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found
}

func keys(m map[string]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
