package steps

import (
	"testing"
	"time"

	"road/demo"
	"road/internal/app"
	"road/internal/edit"
	"road/internal/openshift"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// TestOpenShift takes the demo, as far as that goes without a run, down the whole
// road for OpenShift: restricted-v2 then admits every pod, as it is written and with
// the users that it gives. Without the target it refuses them.
func TestOpenShift(t *testing.T) {
	for _, c := range []struct{ target, admits bool }{{true, true}, {false, false}} {
		dir := t.TempDir() + "/demo"
		if err := demo.Extract(dir); err != nil {
			t.Fatal(err)
		}
		a, err := app.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		files := edit.Files(a.Files())
		for _, s := range All {
			a, err := app.LoadFiles("demo", files)
			if err != nil {
				t.Fatal(err)
			}
			a.Config.Target.OpenShift = c.target
			edits, err := step.Plan(s, a)
			if err != nil {
				t.Fatal(err)
			}
			after, refused := step.Apply(a, files, edits, step.Spared(nil, s, a, time.Time{}))
			if len(refused) > 0 {
				t.Fatal(refused)
			}
			for name, content := range after {
				files[name] = content
			}
		}
		if a, err = app.LoadFiles("demo", files); err != nil || len(a.Workloads) < 2 {
			t.Fatal(err, len(a.Workloads))
		}
		for _, w := range a.Workloads {
			given := w.Pod.DeepCopy()
			openshift.Assign(given)
			for _, spec := range []*corev1.PodSpec{w.Pod, given} {
				if why := openshift.Refuses(spec); (len(why) == 0) != c.admits {
					t.Errorf("target OpenShift %v: %s: %q", c.target, w.ID(), why)
				}
			}
			if c.target && (given.SecurityContext.RunAsUser == nil || given.HostUsers != nil) {
				t.Errorf("%s: runAsUser %v, hostUsers %v", w.ID(), given.SecurityContext.RunAsUser, given.HostUsers)
			}
		}
	}
}
