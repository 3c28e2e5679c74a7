package oci

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"road/internal/admission"
	"road/internal/app"
	"road/internal/sandbox"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// kubectl is who applies the manifests.
const kubectl = admission.Admin

// controllers make the pods of the workloads of a kind.
var controllers = map[string]string{
	"Deployment": "replicaset-controller", "ReplicaSet": "replicaset-controller", "StatefulSet": "statefulset-controller",
	"DaemonSet": "daemon-set-controller", "Job": "job-controller", "CronJob": "job-controller", "ReplicationController": "replication-controller",
}

// judge gives the program that decides what is admitted, started by the first
// who asks.
func (e *engine) judge() (*admission.Judge, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.judged != nil {
		return e.judged, nil
	}
	program := e.o.Admission
	if program == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		program = filepath.Join(filepath.Dir(self), admission.Program)
	}
	j, err := admission.Start(program)
	if err != nil {
		return nil, &sandbox.HostError{Err: fmt.Errorf("nothing here decides what a cluster admits: %w", err), Hint: "build all programs into one folder: make build, or go build -o bin/ ./cmd/..."}
	}
	e.judged = j
	return j, nil
}

// admits says what the API server of the application's cluster says of an act on
// an object, whose namespace must be set.
func (d *deployment) admits(ctx context.Context, act admission.Act) (sandbox.Admission, error) {
	m, err := meta.Accessor(act.Object)
	if err != nil {
		return sandbox.Admission{}, err
	}
	rules := d.rules(m.GetNamespace())
	if len(rules) == 0 {
		return sandbox.Admission{Allowed: true}, nil // nobody has a say in it
	}
	r, err := admission.NewRequest(rules, act)
	if err != nil {
		return sandbox.Admission{}, err
	}
	j, err := d.e.judge()
	if err != nil {
		return sandbox.Admission{}, err
	}
	a, err := j.Ask(ctx, r)
	return sandbox.Admission{Allowed: a.Allowed, Message: a.Message, Warnings: a.Warnings}, err
}

// rules gives the objects of the application that have a say in what is admitted
// into a namespace; none where nothing has.
func (d *deployment) rules(namespace string) []runtime.Object {
	var rules []runtime.Object
	params := map[metav1.TypeMeta]bool{}
	for _, o := range d.app.Objects {
		switch t := o.Typed.(type) {
		case *admissionv1.ValidatingAdmissionPolicy:
			rules = append(rules, t)
			if k := t.Spec.ParamKind; k != nil {
				params[metav1.TypeMeta{Kind: k.Kind, APIVersion: k.APIVersion}] = true
			}
		case *admissionv1.ValidatingAdmissionPolicyBinding:
			rules = append(rules, t)
		case *corev1.Namespace:
			if t.Name == namespace && podSecurity(t) {
				rules = append(rules, t)
			}
		}
	}
	if len(rules) == 0 {
		return nil
	}
	for _, o := range d.app.Objects { // what policies look at beside the pod
		_, ns := o.Typed.(*corev1.Namespace)
		switch {
		case o.Typed == nil:
		case ns && !(o.Name == namespace && podSecurity(o.Typed.(*corev1.Namespace))):
			rules = append(rules, o.Typed)
		case params[metav1.TypeMeta{Kind: o.Kind, APIVersion: o.APIVersion}]:
			rules = append(rules, at(o))
		}
	}
	return rules
}

// podSecurity says whether a namespace has a label of Pod Security.
func podSecurity(ns *corev1.Namespace) bool {
	for label := range ns.Labels {
		if strings.HasPrefix(label, "pod-security.kubernetes.io/") {
			return true
		}
	}
	return false
}

// at gives an object in the namespace that it lands in.
func at(o *app.Object) runtime.Object {
	c := o.Typed.DeepCopyObject()
	if m, err := meta.Accessor(c); err == nil {
		m.SetNamespace(o.Home())
	}
	return c
}

// askForWorkload has the API server decide about a workload, whose pods it will
// be asked about one by one.
func (d *deployment) askForWorkload(ctx context.Context, w *app.Workload) error {
	if w.Kind == "Pod" || w.Typed == nil {
		return nil
	}
	if err := d.ask(ctx, w, at(w.Object), kubectl); err != nil {
		return err
	}
	if o, by := between(w); o != nil {
		return d.ask(ctx, w, o, controller(by))
	}
	return nil
}

// between gives what a controller makes of a workload, from which another makes
// the pods: of a Deployment a ReplicaSet, of a CronJob a Job; nil of others. A
// policy may refuse it, whatever it says of the workload.
func between(w *app.Workload) (o runtime.Object, by string) {
	owner := owners(w.APIVersion, w.Kind, w.Name)
	labels := controllerLabels(w, 0, "")
	switch t := w.Typed.(type) {
	case *appsv1.Deployment:
		const hash = appsv1.DefaultDeploymentUniqueLabelKey
		rs := &appsv1.ReplicaSet{
			TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
			ObjectMeta: metav1.ObjectMeta{Name: replicaSet(w), Namespace: w.Home(), Labels: labels, Annotations: t.Annotations, OwnerReferences: owner},
			Spec: appsv1.ReplicaSetSpec{Replicas: t.Spec.Replicas, MinReadySeconds: t.Spec.MinReadySeconds,
				Selector: metav1.CloneSelectorAndAddLabel(t.Spec.Selector, hash, labels[hash]),
				Template: *t.Spec.Template.DeepCopy()},
		}
		rs.Spec.Template.Labels = labels
		return rs, "deployment-controller"
	case *batchv1.CronJob:
		template := t.Spec.JobTemplate.DeepCopy()
		return &batchv1.Job{
			TypeMeta:   metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
			ObjectMeta: metav1.ObjectMeta{Name: labels["job-name"], Namespace: w.Home(), Labels: template.Labels, Annotations: template.Annotations, OwnerReferences: owner},
			Spec:       template.Spec,
		}, "cronjob-controller"
	}
	return nil, ""
}

// replicaSet is what a Deployment's first ReplicaSet is called.
func replicaSet(w *app.Workload) string { return w.Name + "-" + templateHash(w) }

// ownersOfPod gives who a pod belongs to, which tells it from one that somebody
// has created himself.
func ownersOfPod(m *member) []metav1.OwnerReference {
	switch w := m.workload; w.Kind {
	case "Pod":
		return nil
	case "Deployment":
		return owners("apps/v1", "ReplicaSet", replicaSet(w))
	case "CronJob":
		return owners("batch/v1", "Job", m.labels["job-name"])
	default:
		return owners(w.APIVersion, w.Kind, w.Name)
	}
}

func owners(version, kind, name string) []metav1.OwnerReference {
	yes := true
	return []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: name, Controller: &yes, BlockOwnerDeletion: &yes}}
}

// controller is the user that a controller is to the API server.
func controller(name string) string { return "system:serviceaccount:kube-system:" + name }

// askForPod has it decide about a pod that is about to be made.
func (d *deployment) askForPod(ctx context.Context, m *member, ns string, o memberOptions) error {
	p := &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: m.name, Namespace: ns, Labels: o.labels, Annotations: m.workload.Meta.Annotations, OwnerReferences: ownersOfPod(m)},
		Spec:       *d.admitted(m, ns, o.spec),
	}
	p.Spec.AutomountServiceAccountToken = o.spec.AutomountServiceAccountToken // the account's word stays the account's
	user := kubectl
	if c := controllers[m.workload.Kind]; c != "" {
		user = controller(c)
	}
	return d.ask(ctx, m.workload, p, user)
}

// ask gives a *NotReadyError with the API server's words where it refuses.
func (d *deployment) ask(ctx context.Context, w *app.Workload, o runtime.Object, user string) error {
	a, err := d.admits(ctx, admission.Act{Object: o, User: user})
	if err != nil {
		return err
	}
	if !a.Allowed {
		return &sandbox.NotReadyError{Workload: w.ID(), Reason: a.Message}
	}
	return nil
}

// Admit asks on behalf of the attacker, who may create what he wants where the
// attacked pod is. Nothing is created.
func (c control) Admit(ctx context.Context, o runtime.Object) (sandbox.Admission, error) {
	o, err := c.placed(o)
	if err != nil {
		return sandbox.Admission{}, err
	}
	return c.d.admits(ctx, admission.Act{Object: o, User: attacker})
}

// Update asks on his behalf about a change. Nothing is changed.
func (c control) Update(ctx context.Context, old, now runtime.Object, subresource string) (sandbox.Admission, error) {
	old, err := c.placed(old)
	if err != nil {
		return sandbox.Admission{}, err
	}
	if now, err = c.placed(now); err != nil {
		return sandbox.Admission{}, err
	}
	return c.d.admits(ctx, admission.Act{Object: now, Old: old, Subresource: subresource, User: attacker})
}

// attacker is the user that he is to the API server.
const attacker = "attacker"

// placed gives an object in a namespace: the attacked pod's where it names none.
func (c control) placed(o runtime.Object) (runtime.Object, error) {
	o = o.DeepCopyObject()
	m, err := meta.Accessor(o)
	if err == nil && m.GetNamespace() == "" {
		m.SetNamespace(c.namespace)
	}
	return o, err
}
