package judge

import (
	"github.com/distribution/reference"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// complete gives an object the values that the API server fills in before it
// decides: of policies, bindings and what makes pods all, of pods those that
// rules ask for (docs: "Pod v1 core"), which those of volumes are not. Other
// kinds stay as they were written.
func complete(o runtime.Object) {
	completeWorkload(o)
	switch t := o.(type) {
	case *corev1.Pod:
		if t.Namespace == "" {
			t.Namespace = metav1.NamespaceDefault
		}
		completePod(&t.Spec)
	case *admissionv1.ValidatingAdmissionPolicy:
		fill(&t.Spec.FailurePolicy, admissionv1.Fail)
		if t.Spec.MatchConstraints != nil {
			completeMatch(t.Spec.MatchConstraints)
		}
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		if t.Spec.MatchResources != nil {
			completeMatch(t.Spec.MatchResources)
		}
	}
}

// fill sets a value that was left out.
func fill[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

// word sets a word that was left out.
func word[T ~string](field *T, value T) {
	if *field == "" {
		*field = value
	}
}

func completeMatch(m *admissionv1.MatchResources) {
	fill(&m.MatchPolicy, admissionv1.Equivalent)
	fill(&m.NamespaceSelector, metav1.LabelSelector{})
	fill(&m.ObjectSelector, metav1.LabelSelector{})
	for _, rules := range [][]admissionv1.NamedRuleWithOperations{m.ResourceRules, m.ExcludeResourceRules} {
		for i := range rules {
			fill(&rules[i].Scope, admissionv1.AllScopes)
		}
	}
}

// completePod is for pods, whose templates lack some of it.
func completePod(s *corev1.PodSpec) {
	word(&s.ServiceAccountName, "default") // by the admission controller of service accounts
	fill(&s.EnableServiceLinks, corev1.DefaultEnableServiceLinks)
	for _, list := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range list {
			completeRequests(&list[i].Resources)
		}
	}
	completePodSpec(s)
}

// completePodSpec is for pods and for templates of them.
func completePodSpec(s *corev1.PodSpec) {
	word(&s.RestartPolicy, corev1.RestartPolicyAlways)
	word(&s.DNSPolicy, corev1.DNSClusterFirst)
	word(&s.SchedulerName, corev1.DefaultSchedulerName)
	word(&s.DeprecatedServiceAccount, s.ServiceAccountName)
	fill(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	fill(&s.SecurityContext, corev1.PodSecurityContext{})
	for _, list := range [][]corev1.Container{s.InitContainers, s.Containers} {
		for i := range list {
			completeContainer(&list[i])
		}
	}
}

func completeContainer(c *corev1.Container) {
	word(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	word(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	word(&c.ImagePullPolicy, pullPolicy(c.Image))
	for i := range c.Ports {
		word(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p != nil {
			completeProbe(p)
		}
	}
}

// completeRequests makes a request that was left out the limit.
func completeRequests(r *corev1.ResourceRequirements) {
	for name, limit := range r.Limits {
		if _, there := r.Requests[name]; there {
			continue
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = limit.DeepCopy()
	}
}

func completeProbe(p *corev1.Probe) {
	for _, f := range []struct {
		field *int32
		value int32
	}{{&p.TimeoutSeconds, 1}, {&p.PeriodSeconds, 10}, {&p.SuccessThreshold, 1}, {&p.FailureThreshold, 3}} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if p.HTTPGet != nil {
		word(&p.HTTPGet.Path, "/")
		word(&p.HTTPGet.Scheme, corev1.URISchemeHTTP)
	}
}

// pullPolicy is Always for the tag latest, be there a digest or not, and for what
// has neither. A name that cannot be read has no tag to the API server.
func pullPolicy(image string) corev1.PullPolicy {
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return corev1.PullIfNotPresent
	}
	if tagged, ok := reference.TagNameOnly(named).(reference.Tagged); ok && tagged.Tag() == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}
