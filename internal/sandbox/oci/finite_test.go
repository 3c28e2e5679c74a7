package oci

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
)

func TestRetries(t *testing.T) {
	const pod = `template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}`
	for _, c := range []struct {
		name, manifest string
		retries, fails int
	}{
		{"by default", `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {` + pod + `}}`, 6, 7},
		{"fewer", `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {backoffLimit: 2, ` + pod + `}}`, 2, 3},
		{"never", `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {backoffLimit: 0, ` + pod + `}}`, 0, 1},
		{"more", `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {backoffLimit: 100, ` + pod + `}}`, 6, 7},
		{"per index", `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completionMode: Indexed, completions: 1, backoffLimitPerIndex: 1, ` + pod + `}}`, 1, 2},
		{"cron job", `{apiVersion: batch/v1, kind: CronJob, metadata: {name: j}, spec: {schedule: "1 * * * *", jobTemplate: {spec: {backoffLimit: 3, ` + pod + `}}}}`, 3, 4},
		{"what goes on", `{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: i}]}}`, 0, 0},
	} {
		a, err := app.LoadFiles("test", map[string][]byte{"all.yaml": []byte(c.manifest)})
		if err != nil {
			t.Fatal(err)
		}
		if w := a.Workloads[0]; retries(w) != c.retries || failures(w) != c.fails {
			t.Errorf("%s: tried again %d times, %d failures, want %d and %d", c.name, retries(w), failures(w), c.retries, c.fails)
		}
	}
}

// Both work when they run for the third time: this one's container in the same pod,
// whose directory still has what was written,
const containerAgain = `apiVersion: batch/v1
kind: Job
metadata: {name: container}
spec:
  backoffLimit: %d
  template:
    spec:
      restartPolicy: OnFailure
      containers:
      - name: job
        image: app:1
        command: [sh, -c, "echo run >>/dir/runs; test $(wc -l </dir/runs) = 3"]
        volumeMounts: [{name: dir, mountPath: /dir}]
      volumes: [{name: dir, emptyDir: {}}]
`

// and this one in a new pod, whose directory is empty; it counts on a claim.
const podAgain = `apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: count}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: pod}
spec:
  schedule: "1 * * * *"
  jobTemplate:
    spec:
      backoffLimit: %d
      template:
        spec:
          restartPolicy: Never
          containers:
          - name: job
            image: app:1
            command: [sh, -c, "mkdir /dir/new && echo run >>/count/runs && test $(wc -l </count/runs) = 3"]
            volumeMounts: [{name: dir, mountPath: /dir}, {name: count, mountPath: /count}]
          volumes: [{name: dir, emptyDir: {}}, {name: count, persistentVolumeClaim: {claimName: count}}]
`

func jobs(t *testing.T, manifest string) *app.App {
	return inline(t, map[string]string{"Dockerfile": dockerfile, "jobs.yaml": manifest, "road.yaml": "apiVersion: road/v1\nimages: {app: .}\n"})
}

// A job that fails before what it needs is there is tried again in a cluster.
func TestSandboxJobTriedAgain(t *testing.T) {
	d := deploy(t, jobs(t, fmt.Sprintf(containerAgain+"---\n"+podAgain, 2, 2)))
	if n := len(d.of("cronjob/pod")); n != 1 {
		t.Errorf("%d pods are left of the cron job", n)
	}
}

// It is not tried more often than it says, but for once more when a server beside it
// got ready after that.
func TestSandboxJobFails(t *testing.T) {
	const beside = "apiVersion: v1\nkind: Pod\nmetadata: {name: server}\nspec: {containers: [{name: server, image: \"app:1\", command: [sleep, inf]}]}\n---\n"
	for _, c := range []struct{ manifest, workload, want string }{
		{fmt.Sprintf(containerAgain, 1), "job/container", "container job: exit status 1, 2 times in a row"},
		{fmt.Sprintf(podAgain, 0), "cronjob/pod", "container job: exit status 1"},
	} {
		d, err := engineFor(t).Deploy(t.Context(), jobs(t, beside+c.manifest), sandbox.DeployOptions{})
		if err != nil {
			t.Fatal(err)
		}
		limit, cancel := context.WithTimeout(t.Context(), time.Minute)
		err = d.Ready(limit)
		cancel()
		var n *sandbox.NotReadyError
		if !errors.As(err, &n) || n.Workload != c.workload || n.Reason != c.want || !slices.Equal(n.Running, []string{"pod/server"}) {
			t.Errorf("%s: %v: %+v", c.workload, err, n)
		}
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}
}
