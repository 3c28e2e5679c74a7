package judge_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	road "road/internal/admission"
	"road/internal/admission/judge"
	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
	"road/internal/step"
	"road/steps/admission"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const web = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      initContainers:
      - &container
        name: first
        image: web:2@sha256:0000000000000000000000000000000000000000000000000000000000000000
        resources: {limits: {cpu: "1", memory: 256Mi, ephemeral-storage: 1Gi}}
        securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      containers:
      - <<: *container
        name: web
`

// fixed gives the application with what the step writes for it.
func fixed(t *testing.T) *app.App {
	t.Helper()
	files := edit.Files{"web.yaml": []byte(web), app.FileName: []byte("apiVersion: road/v1\nnamespace: shop\n")}
	a, err := app.LoadFiles("test", files)
	if err != nil {
		t.Fatal(err)
	}
	edits, err := step.Plan(admission.Step, a)
	if err != nil {
		t.Fatal(err)
	}
	after, refused := edit.Apply(files, edits)
	if len(refused) > 0 || len(after) != 2 {
		t.Fatalf("%d files, %v", len(after), refused)
	}
	for name, text := range after {
		files[name] = text
	}
	if a, err = app.LoadFiles("test", files); err != nil || len(a.Problems) > 0 {
		t.Fatalf("%v %v", err, a.Problems)
	}
	return a
}

// TestTheStepsOwnRules asks the API server's code about what the step writes: the
// application's own pod passes, and one that lacks any of what the road gave it
// does not, be it in an init container only. In another namespace all of them do.
func TestTheStepsOwnRules(t *testing.T) {
	a := fixed(t)
	var rules []runtime.Object
	for _, o := range a.Objects {
		if o.Kind != "Deployment" {
			rules = append(rules, o.Typed)
		}
	}
	if len(rules) != 3 {
		t.Fatalf("%d objects", len(rules))
	}
	yes := true
	cases := map[string]struct {
		change func(*corev1.PodSpec)
		want   string
	}{
		"as it is":          {func(*corev1.PodSpec) {}, ""},
		"no init container": {func(s *corev1.PodSpec) { s.InitContainers = nil }, ""},
		"writable root":     {func(s *corev1.PodSpec) { s.InitContainers[0].SecurityContext.ReadOnlyRootFilesystem = nil }, "readOnlyRootFilesystem: true"},
		"no memory limit":   {func(s *corev1.PodSpec) { delete(s.Containers[0].Resources.Limits, "memory") }, "resources.limits.memory"},
		"no cpu limit":      {func(s *corev1.PodSpec) { delete(s.InitContainers[0].Resources.Limits, "cpu") }, "resources.limits.cpu"},
		"no limits":         {func(s *corev1.PodSpec) { s.Containers[0].Resources = corev1.ResourceRequirements{} }, "resources.limits.cpu"},
		"no word on tokens": {func(s *corev1.PodSpec) { s.AutomountServiceAccountToken = nil }, "automountServiceAccountToken: false"},
		"a token":           {func(s *corev1.PodSpec) { s.AutomountServiceAccountToken = &yes }, "automountServiceAccountToken: false"},
		"a token in a volume": {func(s *corev1.PodSpec) {
			s.Volumes = volumes(corev1.VolumeProjection{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "t"}})
		}, "no volume may hold a serviceAccountToken"},
		"a projected file": {func(s *corev1.PodSpec) {
			s.Volumes = volumes(corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{}})
		}, ""},
		"a tag":        {func(s *corev1.PodSpec) { s.Containers[0].Image = "web:2" }, "needs its digest"},
		"perhaps root": {func(s *corev1.PodSpec) { s.SecurityContext.RunAsNonRoot = nil }, `violates PodSecurity "restricted:v1.37": runAsNonRoot != true`},
		"escalation":   {func(s *corev1.PodSpec) { s.InitContainers[0].SecurityContext.AllowPrivilegeEscalation = nil }, "allowPrivilegeEscalation != false"},
		"a host path": {func(s *corev1.PodSpec) {
			s.Volumes = []corev1.Volume{{Name: "v", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}}}
		}, `restricted volume types (volume "v" uses restricted volume type "hostPath")`},
	}
	for name, c := range cases {
		for _, ns := range []string{"shop", "other"} {
			spec := a.Workloads[0].Pod.DeepCopy()
			c.change(spec)
			p := &corev1.Pod{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: ns}, Spec: *spec}
			r, err := road.NewRequest(rules, road.Act{Object: p, User: "attacker"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := judge.Decide(context.Background(), r)
			if err != nil {
				t.Fatal(err)
			}
			want := c.want
			if ns == "other" {
				want = ""
			}
			if got.Allowed != (want == "") || !strings.Contains(got.Message, want) {
				b, _ := json.Marshal(got)
				t.Errorf("%s in %s: %s, want %q", name, ns, b, want)
			}
		}
	}
}

// control asks the judge, with an application's rules, for whoever attacks.
type control struct{ rules []runtime.Object }

func (c control) ask(ctx context.Context, act road.Act) (sandbox.Admission, error) {
	act.User = "attacker"
	r, err := road.NewRequest(c.rules, act)
	if err != nil {
		return sandbox.Admission{}, err
	}
	a, err := judge.Decide(ctx, r)
	return sandbox.Admission{Allowed: a.Allowed, Message: a.Message}, err
}

func (c control) Admit(ctx context.Context, o runtime.Object) (sandbox.Admission, error) {
	return c.ask(ctx, road.Act{Object: here(o)})
}

func (c control) Update(ctx context.Context, old, now runtime.Object, subresource string) (sandbox.Admission, error) {
	return c.ask(ctx, road.Act{Old: here(old), Object: here(now), Subresource: subresource})
}

func (control) Log(sandbox.StandIn) []string { return nil }

func here(o runtime.Object) runtime.Object {
	p := o.(*corev1.Pod).DeepCopy()
	p.Namespace = "shop"
	return p
}

// TestRegressAsksForUpdates runs the step's attack: what the step writes refuses all
// of it. Where the policy is not asked about updates the image of a pod that runs
// goes back to the old one; where Pod Security is not there, it gets a privileged
// container.
func TestRegressAsksForUpdates(t *testing.T) {
	const image, debug = "update: pod/web image updated to web:1 (server dry run)", "update: pod/web got a privileged container to debug with (server dry run)"
	for name, c := range map[string]struct {
		change  func(runtime.Object)
		verdict step.Verdict
		says    []string
	}{
		"as the step writes it": {func(runtime.Object) {}, step.Blocked, []string{
			`create: pods "as-at-1.0" is forbidden: violates PodSecurity`, `create: pods "privileged" is forbidden: violates PodSecurity`,
			`update: pods "web" is forbidden: ValidatingAdmissionPolicy 'hardened-pods-shop'`, "every image needs its digest",
			`update: pods "web" is forbidden: violates PodSecurity "restricted:v1.37": privileged (container "debugger"`}},
		"a policy about new pods only": {func(o runtime.Object) {
			if p, ok := o.(*admissionv1.ValidatingAdmissionPolicy); ok {
				p.Spec.MatchConstraints.ResourceRules[0].Operations = []admissionv1.OperationType{admissionv1.Create}
			}
		}, step.Succeeded, []string{image, `create: pods "as-at-1.0" is forbidden`}},
		"no labels": {func(o runtime.Object) {
			if ns, ok := o.(*corev1.Namespace); ok {
				ns.Labels = nil
			}
		}, step.Succeeded, []string{debug}},
	} {
		a := fixed(t)
		old, err := app.LoadFiles("test", map[string][]byte{"web.yaml": []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: 'web:1'}]}}}\n")})
		if err != nil || len(old.Workloads) != 1 {
			t.Fatalf("%v %v", err, old.Problems)
		}
		var rules []runtime.Object
		for _, o := range a.Objects {
			if o.Kind != "Deployment" {
				c.change(o.Typed)
				rules = append(rules, o.Typed)
			}
		}
		out, err := admission.Step.Attacks[0].Run(t.Context(), &sandbox.Scene{App: a, First: old, Control: control{rules}, Target: sandbox.Target{Workload: "deployment/web", Container: "web"}})
		if err != nil || out.Verdict != c.verdict {
			t.Errorf("%s: %v, %v", name, out, err)
		}
		for _, line := range c.says {
			if !strings.Contains(out.Evidence, line) {
				t.Errorf("%s: nothing says %q:\n%s", name, line, out.Evidence)
			}
		}
	}
}

// volumes gives a projected one.
func volumes(sources ...corev1.VolumeProjection) []corev1.Volume {
	return []corev1.Volume{
		{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "p", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: sources}}},
	}
}
