package judge

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// complete gives an object the values that the API server fills in before it
// decides: of pods those that rules ask for (docs: "Pod v1 core"), of policies
// and bindings all.
func complete(o runtime.Object) {
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

func completePod(s *corev1.PodSpec) {
	word(&s.RestartPolicy, corev1.RestartPolicyAlways)
	word(&s.DNSPolicy, corev1.DNSClusterFirst)
	word(&s.SchedulerName, corev1.DefaultSchedulerName)
	word(&s.ServiceAccountName, "default") // by the admission controller of service accounts
	word(&s.DeprecatedServiceAccount, s.ServiceAccountName)
	fill(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	fill(&s.EnableServiceLinks, corev1.DefaultEnableServiceLinks)
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
	for name, limit := range c.Resources.Limits { // a request that was left out is the limit
		if _, there := c.Resources.Requests[name]; there {
			continue
		}
		if c.Resources.Requests == nil {
			c.Resources.Requests = corev1.ResourceList{}
		}
		c.Resources.Requests[name] = limit.DeepCopy()
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
		if p != nil {
			completeProbe(p)
		}
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

// pullPolicy is Always for what names no tag, or the tag latest.
func pullPolicy(image string) corev1.PullPolicy {
	if tag := tagOf(image); tag == "" || tag == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

// tagOf gives an image's tag; what has a digest counts as having one.
func tagOf(image string) string {
	for i := len(image) - 1; i >= 0; i-- {
		switch image[i] {
		case ':', '@':
			return image[i+1:]
		case '/':
			return ""
		}
	}
	return ""
}
