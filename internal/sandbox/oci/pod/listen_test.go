package pod

import (
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
)

// TestSandboxListens tells the containers of a pod apart, which share a network.
func TestSandboxListens(t *testing.T) {
	need(t)
	o := newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":serve", "8080"))
	o.Spec.Containers = append(o.Spec.Containers, corev1.Container{Name: "side", Image: "test", Args: []string{":serve", "9090"}})
	p := launch(t, o)
	ready(t, p) // its words may come before it is known to run
	waitLog(t, p, "web: listening")
	waitLog(t, p, "side: listening")
	for name, want := range map[string]int{"web": 8080, "side": 9090} {
		if got, err := p.Listens(name); err != nil || !slices.Equal(got, []int{want}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
