package oci

import (
	"fmt"
	"testing"

	"road/internal/app"

	"github.com/google/go-cmp/cmp"
)

const leftOut = `apiVersion: batch/v1
kind: Job
metadata: {name: copy}
spec:
  activeDeadlineSeconds: 600
  podFailurePolicy: {rules: [{action: FailJob, onExitCodes: {operator: In, values: [42]}}]}
  template:
    spec:
      restartPolicy: Never
      hostPID: true
      containers: [{name: copy, image: "app:1", command: [echo, done], tty: true}]
`

var wantNotes = []string{
	"podFailurePolicy is not applied: every failure counts against backoffLimit",
	"the Job's activeDeadlineSeconds is not enforced: what it takes here says nothing of a cluster",
}

func TestJobNotes(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{"job.yaml": []byte(leftOut), "again.yaml": []byte(fmt.Sprintf(containerAgain, 1))})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		workload string
		want     []string
	}{{"job/copy", []string{wantNotes[1], wantNotes[0]}}, {"job/container", nil}} {
		if diff := cmp.Diff(c.want, jobNotes(a.Workload(c.workload))); diff != "" {
			t.Errorf("%s: %s", c.workload, diff)
		}
	}
}

// What a running pod does not get is said, too.
func TestSandboxNotes(t *testing.T) {
	want := []string{"job/copy: container copy: tty: it gets a pipe", "job/copy: hostPID: the pod does not see the host's processes"}
	for _, n := range wantNotes {
		want = append(want, "job/copy: "+n)
	}
	if diff := cmp.Diff(want, deploy(t, jobs(t, leftOut)).Notes()); diff != "" {
		t.Error(diff)
	}
}
