package oci

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"road/internal/admission"
	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/sandbox/sandboxtest"

	corev1 "k8s.io/api/core/v1"
)

// judged gives an engine whose program for decisions is built here.
func judged(t *testing.T) *engine {
	t.Helper()
	program := filepath.Join(t.TempDir(), admission.Program)
	c := exec.Command("go", "build", "-o", program, "road/cmd/"+admission.Program)
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// A world has one network, so the engine is that of the other tests.
	e := engineFor(t).(*engine)
	e.o.Admission = program
	t.Cleanup(func() {
		if e.judged != nil {
			e.judged.Close()
			e.judged = nil
		}
	})
	return e
}

const labelled = `apiVersion: v1
kind: Namespace
metadata:
  name: shop
  labels: {pod-security.kubernetes.io/enforce: baseline, pod-security.kubernetes.io/enforce-version: v1.37}
`

func pods(t *testing.T, spec string) *app.App {
	t.Helper()
	a, err := app.LoadFiles("shop", map[string][]byte{"road.yaml": []byte("apiVersion: road/v1\nnamespace: shop\n"), "ns.yaml": []byte(labelled),
		"web.yaml": []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: {labels: {app: web}}\n    spec: " + spec + "\n")})
	if err != nil || len(a.Workloads) != 1 {
		t.Fatalf("%v %v", err, a.Problems)
	}
	return a
}

// TestSandboxRefusedPod deploys a privileged pod into a namespace whose labels
// refuse it: no pod is created, and the workload does not get ready, with the
// words of the API server. The same engine admits what the labels allow.
func TestSandboxRefusedPod(t *testing.T) {
	sandboxtest.Need(t, "runc")
	e := judged(t)
	a := pods(t, `{hostPID: true, containers: [{name: web, image: web, securityContext: {privileged: true}}]}`)
	e.prepared[a] = nil
	defer delete(e.prepared, a)
	d := &deployment{e: e, app: a, group: "test"}
	err := d.join(t.Context(), a.Workloads[0], 0)
	var n *sandbox.NotReadyError
	if err != nil || !errors.As(d.failed, &n) {
		t.Fatalf("%v; failed: %v", err, d.failed)
	}
	const want = `is forbidden: violates PodSecurity "baseline:v1.37": host namespaces (hostPID=true), privileged (container "web" must not set securityContext.privileged=true)`
	if n.Workload != "deployment/web" || !strings.HasPrefix(n.Reason, `pods "web-`) || !strings.HasSuffix(n.Reason, want) {
		t.Errorf("%v", n)
	}
	if len(d.of("deployment/web")) != 0 {
		t.Error("the pod was created all the same")
	}
	if err := d.Ready(t.Context()); !errors.As(err, &n) {
		t.Errorf("Ready: %v", err)
	}
	c := control{d: d, namespace: "shop"}
	for _, x := range []struct {
		namespace string
		host      bool
		allowed   bool
	}{{"", true, false}, {"", false, true}, {"other", true, true}} {
		p := &corev1.Pod{Spec: corev1.PodSpec{HostPID: x.host, Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
		p.APIVersion, p.Kind, p.Name, p.Namespace = "v1", "Pod", "p", x.namespace
		a, err := c.Admit(context.Background(), p)
		if err != nil || a.Allowed != x.allowed {
			t.Errorf("%+v: %+v, %v", x, a, err)
		}
	}
	was := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	was.APIVersion, was.Kind, was.Name = "v1", "Pod", "p"
	for privileged, allowed := range map[bool]bool{true: false, false: true} {
		now := was.DeepCopy()
		now.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "d", Image: "i", SecurityContext: &corev1.SecurityContext{Privileged: &privileged}}}}
		a, err := c.Update(t.Context(), was, now, "ephemeralcontainers")
		if err != nil || a.Allowed != allowed {
			t.Errorf("a container beside, privileged %v: %+v, %v", privileged, a, err)
		}
	}
}

// refusing is a policy for all namespaces that lets an expression alone in.
func refusing(name, groups, resources, expression string) string {
	return strings.NewReplacer("NAME", name, "GROUPS", groups, "RESOURCES", resources, "EXPRESSION", expression).Replace(`apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [GROUPS], apiVersions: [v1], operations: [CREATE], resources: [RESOURCES]}]}
  validations: [{expression: 'EXPRESSION', message: NAME}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: NAME}
spec: {policyName: NAME, validationActions: [Deny]}
`)
}

// TestSandboxBetween asks also about what a controller makes before the pods, as
// who makes it, and pods belong to somebody.
func TestSandboxBetween(t *testing.T) {
	sandboxtest.Need(t, "runc")
	e := judged(t)
	const workloads = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: web}]}}}}}
`
	for _, c := range []struct {
		name, policy string
		refused      map[string]string // by workload: the object that is not created
	}{
		{"replica sets", refusing("refuse", "apps", "replicasets", `request.userInfo.username != "system:serviceaccount:kube-system:deployment-controller" || object.spec.template.metadata.labels["app"] != "web"`),
			map[string]string{"deployment/web": `replicasets.apps "web-`}},
		{"jobs", refusing("refuse", "batch", "jobs", `object.metadata.ownerReferences[0].kind != "CronJob"`),
			map[string]string{"cronjob/nightly": `jobs.batch "nightly-`}},
		{"pods of nobody's", refusing("refuse", `""`, "pods", `has(object.metadata.ownerReferences)`), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, err := app.LoadFiles("shop", map[string][]byte{"a.yaml": []byte(workloads), "policy.yaml": []byte(c.policy)})
			if err != nil || len(a.Workloads) != 2 || len(a.Problems) > 0 {
				t.Fatalf("%v %v", err, a.Problems)
			}
			d := &deployment{e: e, app: a, group: "test"}
			for _, w := range a.Workloads {
				m := &member{workload: w, name: "p", labels: controllerLabels(w, 0, "p")}
				err := d.askForWorkload(t.Context(), w)
				if err == nil {
					err = d.askForPod(t.Context(), m, w.Home(), memberOptions{spec: w.Pod, labels: m.labels})
				}
				var n *sandbox.NotReadyError
				want := c.refused[w.ID()]
				if want == "" && err != nil || want != "" && (!errors.As(err, &n) || !strings.HasPrefix(n.Reason, want)) {
					t.Errorf("%s: %v, want a refusal of %q", w.ID(), err, want)
				}
			}
		})
	}
}

// TestRules sends nobody to the judge where nothing has a say.
func TestRules(t *testing.T) {
	d := &deployment{app: pods(t, `{containers: [{name: web, image: web}]}`)}
	if got := d.rules("shop"); len(got) != 1 {
		t.Errorf("%v", got)
	}
	if got := d.rules("other"); got != nil {
		t.Errorf("%v", got)
	}
}
