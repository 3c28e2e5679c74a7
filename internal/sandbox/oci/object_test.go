package oci

import (
	"os"
	"slices"
	"testing"

	"road/internal/probe"
	"road/internal/sandbox"
)

const lacking = `apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  terminationGracePeriodSeconds: 0
  serviceAccountName: nobodys
  containers:
  - name: web
    image: web:1
    command: [/bin/program, hold]
    env:
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: login, key: password}}}
    - {name: USER, valueFrom: {secretKeyRef: {name: login, key: user}}}
    - {name: MODE, valueFrom: {configMapKeyRef: {name: settings, key: mode}}}
    volumeMounts: [{name: data, mountPath: /data}, {name: files, mountPath: /files}]
  volumes:
  - {name: data, persistentVolumeClaim: {claimName: old}}
  - {name: files, configMap: {name: settings, items: [{key: app.conf, path: app.conf}]}}
`

// TestSandboxMakesWhatIsMissing runs a pod that refers to objects which PATH
// lacks: it gets placeholders, and what road.yaml gives.
func TestSandboxMakesWhatIsMissing(t *testing.T) {
	program, err := os.ReadFile(engineFor(t).(*engine).o.Probe)
	if err != nil {
		t.Fatal(err)
	}
	d := deploy(t, inline(t, map[string]string{"pod.yaml": lacking, "program": string(program),
		"Dockerfile": "FROM scratch\nCOPY --chmod=755 program /bin/program\n",
		"road.yaml":  "apiVersion: road/v1\nimages: {web: .}\nsecrets: {login: {user: joe}}\n"}))
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: "pod/web", Container: "web"}, false)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var env []string
	if err := s.Foothold.Code(t.Context(), probe.Environ, nil, &env); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"PASSWORD=placeholder", "USER=joe", "MODE=placeholder"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing from %q", want, env)
		}
	}
	if b, err := s.Node.ReadFile("/files/app.conf", 100); err != nil || string(b) != "placeholder" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := s.Node.Stat("/data"); err != nil {
		t.Error(err)
	}
}
