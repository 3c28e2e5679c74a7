package oci

import (
	"os"
	"path/filepath"
	"testing"

	"road/internal/app"
	"road/internal/sandbox"
)

// inline loads an application from the text of its files.
func inline(t *testing.T, files map[string]string) *app.App {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		write(t, dir, name, text)
	}
	return load(t, dir)
}

const waits = `apiVersion: v1
kind: Pod
metadata: {name: waits}
spec:
  containers:
  - name: waits
    image: app:1
    command: [sh, -c, "timeout 1 bash -c '</dev/tcp/late/7000' || exit 1; echo there; exec sleep 1000"]
---
apiVersion: v1
kind: Pod
metadata: {name: late, labels: {app: late}}
spec:
  containers:
  - name: late
    image: app:1
    command: [sh, -c, "sleep 7; exec perl -MIO::Socket -e '$s = IO::Socket::INET->new(Listen => 5, LocalPort => 7000) or die; 1 while $s->accept'"]
    readinessProbe: {tcpSocket: {port: 7000}}
---
apiVersion: v1
kind: Service
metadata: {name: late}
spec: {selector: {app: late}, ports: [{port: 7000}]}
`

const dockerfile = "FROM debian:trixie-slim\nCMD [\"true\"]\n"

// A program that ends until its database is there works in a cluster, so it has
// to work here.
func TestSandboxWaitsForAnother(t *testing.T) {
	deploy(t, inline(t, map[string]string{"Dockerfile": dockerfile, "pods.yaml": waits, "road.yaml": "apiVersion: road/v1\nimages: {app: .}\n"}))
}

const job = `apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      securityContext: {runAsUser: 1234}
      containers:
      - {name: once, image: "app:1", command: [echo, done]}
`

// The pod of a job has ended when the attacks begin; they see one like it.
func TestSandboxJob(t *testing.T) {
	d := deploy(t, inline(t, map[string]string{"Dockerfile": dockerfile, "job.yaml": job, "road.yaml": "apiVersion: road/v1\nimages: {app: .}\n"}))
	status := statusIn(t, d, sandbox.Target{Workload: "job/once", Container: "once"})
	if got := statusField(status, "Uid"); got != "1234\t1234\t1234\t1234" {
		t.Errorf("the probe runs as %q", got)
	}
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
