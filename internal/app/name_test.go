package app

import "testing"

// A name that Kubernetes takes for nothing is a fault with its place, and what
// bears it is no workload.
func TestNames(t *testing.T) {
	pod := func(name string) map[string][]byte {
		return map[string][]byte{"a.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\nspec:\n  containers:\n  - {name: c, image: i}\n")}
	}
	for name, fine := range map[string]bool{"web": true, "web.v1-2": true, "Web": false, "../../etc": false, "a_b": false, "-a": false} {
		a, err := LoadFiles("x", pod(name))
		if err != nil {
			t.Fatal(err)
		}
		if fine != (len(a.Problems) == 0) || fine != (len(a.Workloads) == 1) {
			t.Errorf("%s: %v, %d workloads", name, a.Problems, len(a.Workloads))
		}
		if !fine && a.Problems[0].Pos.String() != "a.yaml:4" {
			t.Errorf("%s: at %s", name, a.Problems[0].Pos)
		}
	}
}
