package pod

import (
	"slices"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
)

func TestListening(t *testing.T) {
	const head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
	const listens = "   0: 0100007F:18EB 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0"
	const connected = "   1: 0100007F:18EB 0100007F:0016 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1 0 100 0 0 10 0"
	if inode, port, ok := listenLine(listens); !ok || inode != "4242" || port != 6379 {
		t.Error(inode, port, ok)
	}
	for _, line := range []string{head, connected, ""} {
		if _, _, ok := listenLine(line); ok {
			t.Error(line)
		}
	}
}

// TestSandboxListens tells the containers of a pod apart, which share a network.
func TestSandboxListens(t *testing.T) {
	need(t)
	o := newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), one(":serve", "8080"))
	o.Spec.Containers = append(o.Spec.Containers, corev1.Container{Name: "side", Image: "test", Args: []string{":serve", "9090"}})
	p := launch(t, o)
	waitLog(t, p, "web: listening")
	waitLog(t, p, "side: listening")
	for name, want := range map[string]int{"web": 8080, "side": 9090} {
		if got, err := p.Listens(name); err != nil || !slices.Equal(got, []int{want}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
