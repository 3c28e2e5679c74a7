package oci

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"

	corev1 "k8s.io/api/core/v1"
)

// What an init container writes is seen too, though it has ended by then.
func TestSandboxLearnsOfInitContainers(t *testing.T) {
	a := demoAt(t, 1)
	w := a.Workload(db)
	w.Pod.InitContainers = []corev1.Container{{Name: "prepare", Image: w.Pod.Containers[0].Image, Command: []string{"sh", "-c", "echo x >/opt/prepared"}}}
	d := deploy(t, a)
	seen := &app.Seen{}
	if err := d.Learn(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	if got := seen.Inside(db, "prepare").Written; !slices.Equal(got, []string{"/opt"}) {
		t.Errorf("the init container wrote %v", got)
	}
	if got := seen.Inside(db, "redis").Written; len(got) == 0 || slices.Contains(got, "/opt") {
		t.Errorf("redis wrote %v", got)
	}
}

// A key that code inside leaves stands in the host's list, and is its user's.
func TestSandboxNodeSeesKeys(t *testing.T) {
	for stop := 1; stop <= 2; stop++ {
		d := deploy(t, demoAt(t, stop))
		s, err := d.Scene(t.Context(), sandbox.Target{Workload: db, Container: "redis"}, false)
		if err != nil {
			t.Fatal(err)
		}
		var key probe.KeyResult
		if err := s.Foothold.Code(t.Context(), probe.AddKey, probe.KeyArgs{Description: "road-test", Data: []byte("x")}, &key); err != nil {
			t.Fatal(err)
		}
		list, err := s.Node.Keys()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(list, func(l string) bool { return strings.HasPrefix(l, fmt.Sprintf("%08x ", key.Serial)) }) {
			t.Errorf("%d.0: key %08x is not in\n%s", stop, key.Serial, strings.Join(list, "\n"))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

const installs = `apiVersion: v1
kind: Pod
metadata: {name: installs}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: installs
    image: app:1
    command: [sh, -c, "test -e /data/made || { rm $(mktemp) && touch /data/made; }; exec sleep 1000"]
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
`

// What only the first start needed, on an empty volume, is known after the pod
// was made anew.
func TestSandboxLearnsOfPodsMadeAnew(t *testing.T) {
	d := deploy(t, inline(t, map[string]string{"Dockerfile": dockerfile, "pod.yaml": installs, "road.yaml": "apiVersion: road/v1\nimages: {app: .}\n"}))
	if err := d.Restart(t.Context(), "pod/installs"); err != nil {
		t.Fatal(err)
	}
	seen := &app.Seen{}
	if err := d.Learn(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	if got := seen.Inside("pod/installs", "installs").Written; !slices.Equal(got, []string{"/tmp"}) {
		t.Errorf("it wrote %v", got)
	}
}
