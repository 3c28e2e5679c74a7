package judge

import (
	"context"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
	podsecurity "k8s.io/pod-security-admission/admission"
	"k8s.io/pod-security-admission/admission/api/load"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"
)

// evaluator holds the rules of every version.
var evaluator = sync.OnceValues(func() (policy.Evaluator, error) { return policy.NewEvaluator(policy.DefaultChecks(), nil) })

// podSecurity gives the message with which Pod Security refuses a request, ""
// where it does not. What its labels only warn of becomes a warning.
func (c *cluster) podSecurity(ctx context.Context, a admission.Attributes) (string, error) {
	if !(podsecurity.DefaultPodSpecExtractor{}).HasPodSpec(a.GetResource().GroupResource()) {
		return "", nil
	}
	rules, err := evaluator()
	if err != nil {
		return "", err
	}
	config, err := load.LoadFromFile("") // the defaults of the API server: no label, no rule
	if err != nil {
		return "", err
	}
	p := &podsecurity.Admission{
		Configuration: config, Evaluator: rules, Metrics: nobodyCounts{},
		NamespaceGetter: namespaceGetter{c}, PodLister: noPods{},
	}
	if err := p.CompleteConfiguration(); err != nil {
		return "", err
	}
	if err := p.ValidateConfiguration(); err != nil {
		return "", err
	}
	r := p.Validate(ctx, &api.AttributesRecord{
		Name: a.GetName(), Namespace: a.GetNamespace(), Kind: a.GetKind(), Resource: a.GetResource(), Subresource: a.GetSubresource(),
		Operation: admissionv1.Operation(a.GetOperation()), Object: a.GetObject(), OldObject: a.GetOldObject(), Username: a.GetUserInfo().GetName(),
	})
	for _, w := range r.Warnings {
		warning.AddWarning(ctx, "", w)
	}
	switch {
	case r.Allowed:
		return "", nil
	case r.Result != nil && r.Result.Message != "":
		return r.Result.Message, nil
	}
	return "Not allowed by PodSecurity", nil
}

// nobodyCounts takes what would become metrics.
type nobodyCounts struct{}

func (nobodyCounts) RecordEvaluation(metrics.Decision, api.LevelVersion, metrics.Mode, api.Attributes) {
}
func (nobodyCounts) RecordExemption(api.Attributes)   {}
func (nobodyCounts) RecordError(bool, api.Attributes) {}
