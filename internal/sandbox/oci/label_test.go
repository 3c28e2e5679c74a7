package oci

import (
	"regexp"
	"testing"

	"road/internal/app"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestControllerLabels(t *testing.T) {
	const template = `{metadata: {labels: {app: x}}, spec: {containers: [{name: c, image: i}], restartPolicy: Never}}`
	a, err := app.LoadFiles("test", map[string][]byte{"all.yaml": []byte(`
{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {selector: {matchLabels: {app: x}}, template: ` + template + `}}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {serviceName: s, selector: {matchLabels: {app: x}}, template: ` + template + `}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: e}, spec: {selector: {matchLabels: {app: x}}, template: ` + template + `}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completionMode: Indexed, completions: 1, template: ` + template + `}}
---
{apiVersion: v1, kind: Pod, metadata: {name: p, labels: {app: x}}, spec: {containers: [{name: c, image: i}]}}
`)})
	if err != nil {
		t.Fatal(err)
	}
	hash := regexp.MustCompile(`\b[bcdfghjklmnpqrstvwxz2456789]{10}$|^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$`)
	want := map[string]map[string]string{
		"deployment/d":  {"app": "x", "pod-template-hash": "#"},
		"statefulset/s": {"app": "x", "controller-revision-hash": "s-#", "statefulset.kubernetes.io/pod-name": "s-2", "apps.kubernetes.io/pod-index": "2"},
		"daemonset/e":   {"app": "x", "controller-revision-hash": "#", "pod-template-generation": "1"},
		"job/j": {"app": "x", "job-name": "j", "batch.kubernetes.io/job-name": "j", "controller-uid": "#", "batch.kubernetes.io/controller-uid": "#",
			"batch.kubernetes.io/job-completion-index": "2"},
		"pod/p": {"app": "x"},
	}
	for _, w := range a.Workloads {
		got := controllerLabels(w, 2, podName(w, 2, 7))
		for k, v := range got {
			got[k] = hash.ReplaceAllString(v, "#")
		}
		if d := cmp.Diff(want[w.ID()], got); d != "" {
			t.Errorf("%s:\n%s", w.ID(), d)
		}
		if len(w.Meta.Labels) != 1 {
			t.Errorf("%s: its template now has the labels %v", w.ID(), w.Meta.Labels)
		}
	}
	if len(a.Workloads) != len(want) {
		t.Errorf("%d workloads; %v", len(a.Workloads), a.Problems)
	}
	w := a.Workload("deployment/d")
	before := templateHash(w)
	if w.Pod.Containers[0].Image = "other"; templateHash(w) == before {
		t.Error("another template has the same hash")
	}
}

// A Service may name one pod of several.
func TestServiceOfOnePod(t *testing.T) {
	w := &app.Workload{Object: &app.Object{Kind: "StatefulSet", Name: "db"}, Meta: &metav1.ObjectMeta{Labels: map[string]string{"app": "db"}}, Pod: &corev1.PodSpec{}}
	of := func(selector map[string]string) *service {
		return &service{namespace: app.DefaultNamespace, spec: corev1.ServiceSpec{Selector: selector}}
	}
	one, all := of(map[string]string{"statefulset.kubernetes.io/pod-name": "db-1"}), of(map[string]string{"app": "db"})
	for i := range 2 {
		name := podName(w, i, 7)
		m := &member{workload: w, index: i, name: name, labels: controllerLabels(w, i, name)}
		if !all.leadsTo(m) || one.leadsTo(m) != (i == 1) || of(nil).leadsTo(m) {
			t.Errorf("%s: %v, %v", name, all.leadsTo(m), one.leadsTo(m))
		}
	}
}
