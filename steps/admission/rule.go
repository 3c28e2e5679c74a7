package admission

import (
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/step"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A rule is one thing that Pod Security does not ask for and the road gives.
type rule struct {
	name       string // as findings name it
	expression string // what the policy says, in CEL
	message    string // what is refused with
	holds      func(w *app.Workload) bool
}

// containers is the CEL for the containers that a pod starts with, which the
// policy keeps as a variable; each looks at every one.
const (
	containers = "object.spec.containers + (has(object.spec.initContainers) ? object.spec.initContainers : [])"
	each       = "variables.containers.all(c, "
)

// byDigest is of the only field of these that a pod which runs can get another
// value in.
const byDigest = each + "c.image.contains('@sha256:'))"

// rules are those of the policy, in the order of the stops that give them.
var rules = []rule{
	{
		"a read-only root file system",
		each + "has(c.securityContext) && has(c.securityContext.readOnlyRootFilesystem) && c.securityContext.readOnlyRootFilesystem)",
		"every container needs securityContext.readOnlyRootFilesystem: true",
		every(func(c *corev1.Container) bool {
			s := c.SecurityContext
			return s != nil && s.ReadOnlyRootFilesystem != nil && *s.ReadOnlyRootFilesystem
		}),
	},
	limit(corev1.ResourceCPU), limit(corev1.ResourceMemory), limit(corev1.ResourceEphemeralStorage),
	{
		"no service account token",
		"has(object.spec.automountServiceAccountToken) && !object.spec.automountServiceAccountToken",
		"the pod needs automountServiceAccountToken: false",
		func(w *app.Workload) bool {
			return w.Pod.AutomountServiceAccountToken != nil && !*w.Pod.AutomountServiceAccountToken
		},
	},
	{
		"no token of a service account in a volume",
		"!has(object.spec.volumes) || object.spec.volumes.all(v, !has(v.projected) || !has(v.projected.sources) || " +
			"v.projected.sources.all(s, !has(s.serviceAccountToken)))",
		"no volume may hold a serviceAccountToken",
		func(w *app.Workload) bool { // where the pod has its token, the cluster adds such a volume
			return w.Pod.AutomountServiceAccountToken != nil && !*w.Pod.AutomountServiceAccountToken &&
				!slices.ContainsFunc(w.Pod.Volumes, func(v corev1.Volume) bool {
					return v.Projected != nil && slices.ContainsFunc(v.Projected.Sources, func(s corev1.VolumeProjection) bool { return s.ServiceAccountToken != nil })
				})
		},
	},
	{
		"images by digest",
		byDigest,
		"every image needs its digest: NAME@sha256:...",
		every(func(c *corev1.Container) bool { return strings.Contains(c.Image, "@sha256:") }),
	},
}

// newSpec is the CEL for a request that a policy of the road looks at: whoever
// may update a pod may give it another image. Those that change no spec, such as
// a controller's that takes a finalizer away, are let pass, also for pods that
// were there before the policy.
const newSpec = "request.operation == 'CREATE' || object.spec != oldObject.spec"

// always says whether the conditions let no new pod pass by.
func always(conditions []admissionv1.MatchCondition) bool {
	return !slices.ContainsFunc(conditions, func(c admissionv1.MatchCondition) bool { return c.Expression != newSpec })
}

// limit is the rule that every container has a limit for a resource.
func limit(r corev1.ResourceName) rule {
	return rule{
		"a limit for " + string(r),
		each + "has(c.resources) && has(c.resources.limits) && '" + string(r) + "' in c.resources.limits)",
		"every container needs resources.limits." + string(r),
		every(func(c *corev1.Container) bool { _, ok := c.Resources.Limits[r]; return ok }),
	}
}

// every gives a function that looks at the containers which a pod starts with.
func every(is func(*corev1.Container) bool) func(*app.Workload) bool {
	return func(w *app.Workload) bool {
		for c := range w.Containers() {
			if c.Kind != app.Ephemeral && !is(c.Spec) {
				return false
			}
		}
		return true
	}
}

// unruled gives the rules that all pods of the namespace fulfil and that nothing
// holds others to.
func (p *place) unruled(a *app.App) []rule {
	if p.target.Older(policies) {
		return nil // the labels are all that it has
	}
	held := p.held(a)
	return slices.DeleteFunc(p.fulfilled(), func(r rule) bool { return held[r.expression] })
}

// fulfilled gives the rules that all pods of the namespace fulfil.
func (p *place) fulfilled() []rule {
	var out []rule
	for _, r := range rules {
		if !slices.ContainsFunc(p.workloads, func(w *app.Workload) bool { return !r.holds(w) }) {
			out = append(out, r)
		}
	}
	return out
}

// held gives the expressions that policies of the application hold the pods of
// the namespace to. Others may say the same in other words: that nobody can tell
// without asking them.
func (p *place) held(a *app.App) map[string]bool {
	bound := map[string]bool{}
	for _, o := range a.Objects {
		if b, ok := o.Typed.(*admissionv1.ValidatingAdmissionPolicyBinding); ok && slices.Contains(b.Spec.ValidationActions, admissionv1.Deny) && p.selectedBy(b.Spec.MatchResources) {
			bound[b.Spec.PolicyName] = true
		}
	}
	held := map[string]bool{}
	for _, o := range a.Objects {
		v, ok := o.Typed.(*admissionv1.ValidatingAdmissionPolicy)
		if !ok || !bound[o.Name] || !always(v.Spec.MatchConditions) || !aboutPods(v.Spec.MatchConstraints, admissionv1.Create) || !p.selectedBy(v.Spec.MatchConstraints) {
			continue
		}
		for _, x := range v.Spec.Validations {
			if x.Expression != byDigest || aboutPods(v.Spec.MatchConstraints, admissionv1.Update) {
				held[x.Expression] = true
			}
		}
	}
	return held
}

// selectedBy says whether a policy's match takes every pod of the namespace.
func (p *place) selectedBy(m *admissionv1.MatchResources) bool {
	if m == nil {
		return true
	}
	if s := m.ObjectSelector; s != nil && len(s.MatchLabels)+len(s.MatchExpressions) > 0 {
		return false
	}
	if m.NamespaceSelector == nil {
		return true
	}
	s, err := metav1.LabelSelectorAsSelector(m.NamespaceSelector)
	l := step.Labels{corev1.LabelMetadataName: p.name}
	for k, v := range p.labels {
		l[k] = v
	}
	return err == nil && s.Matches(l)
}

// aboutPods says whether a policy is asked when that is done to a pod.
func aboutPods(m *admissionv1.MatchResources, operation admissionv1.OperationType) bool {
	return m != nil && slices.ContainsFunc(m.ResourceRules, func(r admissionv1.NamedRuleWithOperations) bool {
		ops := slices.Contains(r.Operations, operation) || slices.Contains(r.Operations, admissionv1.OperationAll)
		return ops && len(r.ResourceNames) == 0 && (slices.Contains(r.APIGroups, "") || slices.Contains(r.APIGroups, "*")) &&
			(slices.Contains(r.Resources, "pods") || slices.Contains(r.Resources, "*"))
	})
}
