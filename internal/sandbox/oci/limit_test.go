package oci

import (
	"testing"

	"road/internal/app"
)

// A node has room for what its pods may use, so that their own limits kill: three
// replicas, a sidecar beside each, a job, and a pod of an attack's own.
func TestMemoryLimits(t *testing.T) {
	a, err := app.LoadFiles("shop", map[string][]byte{"a.yaml": []byte(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 5
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers:
      - {name: first, image: i, resources: {limits: {memory: 9Gi}}}
      - {name: side, image: i, restartPolicy: Always, resources: {limits: {memory: 100Mi}}}
      containers:
      - {name: web, image: i, resources: {limits: {memory: 900Mi}}}
      - {name: free, image: i}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i, resources: {limits: {memory: 10Mi}}}]}}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	d := &deployment{app: a}
	if got, want := d.memoryLimits(), uint64(4010<<20); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	if d.o.Attacked = true; d.memoryLimits() != 2010<<20 {
		t.Errorf("attacked: %d bytes", d.memoryLimits())
	}
}
