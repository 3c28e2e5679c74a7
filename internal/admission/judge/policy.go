package judge

import (
	"context"
	"errors"
	"sync"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/generic"
	"k8s.io/apiserver/pkg/admission/plugin/policy/matching"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/cache"
)

// policiesRefuse gives the message with which a ValidatingAdmissionPolicy
// refuses a request, "" where none does.
func (c *cluster) policiesRefuse(ctx context.Context, a admission.Attributes) (string, error) {
	if len(c.policies) == 0 {
		return "", nil
	}
	d := validating.NewDispatcher(nobodyMay{}, generic.NewPolicyMatcher(matching.NewMatcher(namespaceLister{cluster: c}, nil)))
	err := d.Dispatch(ctx, a, admission.NewObjectInterfacesFromScheme(scheme.Scheme), c.hooks())
	var status *apierrors.StatusError
	if errors.As(err, &status) {
		return status.ErrStatus.Message, nil
	}
	return "", err
}

// hooks gives every policy with its bindings, as the API server keeps them.
func (c *cluster) hooks() []validating.PolicyHook {
	var hooks []validating.PolicyHook
	for _, p := range c.policies {
		h := validating.PolicyHook{Policy: p, Evaluator: compile(p)}
		for _, b := range c.bindings {
			if b.Spec.PolicyName == p.Name {
				h.Bindings = append(h.Bindings, b)
			}
		}
		if p.Spec.ParamKind != nil {
			h.ParamInformer, h.ParamScope = c.params(p.Spec.ParamKind)
		}
		hooks = append(hooks, h)
	}
	return hooks
}

// environments is where expressions are compiled, made once: it takes a while.
var environments = sync.OnceValue(func() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
})

// compile makes a policy ready to be asked. The API server's own way to do that
// is closed to others, but for its parts, which are these.
func compile(p *admissionv1.ValidatingAdmissionPolicy) validating.Validator {
	full := cel.OptionalVariableDeclarations{HasParams: p.Spec.ParamKind != nil, HasAuthorizer: true}
	words := cel.OptionalVariableDeclarations{HasParams: full.HasParams}
	compiler, err := cel.NewCompositedCompiler(environments())
	if err != nil {
		return validating.NewValidator(nil, nil, nil, nil, p.Spec.FailurePolicy, err)
	}
	var variables []cel.NamedExpressionAccessor
	for _, v := range p.Spec.Variables {
		variables = append(variables, &validating.Variable{Name: v.Name, Expression: v.Expression})
	}
	compiler.CompileAndStoreVariables(variables, full, environment.StoredExpressions)
	condition := func(e []cel.ExpressionAccessor, o cel.OptionalVariableDeclarations) cel.ConditionEvaluator {
		return compiler.CompileCondition(e, o, environment.StoredExpressions)
	}
	var matcher matchconditions.Matcher
	if n := len(p.Spec.MatchConditions); n > 0 {
		e := make([]cel.ExpressionAccessor, n)
		for i := range e {
			e[i] = (*matchconditions.MatchCondition)(&p.Spec.MatchConditions[i])
		}
		matcher = matchconditions.NewMatcher(condition(e, full), p.Spec.FailurePolicy, "policy", "validate", p.Name)
	}
	validations := make([]cel.ExpressionAccessor, len(p.Spec.Validations))
	messages := make([]cel.ExpressionAccessor, len(p.Spec.Validations))
	for i, v := range p.Spec.Validations {
		validations[i] = &validating.ValidationCondition{Expression: v.Expression, Message: v.Message, Reason: v.Reason}
		if v.MessageExpression != "" {
			messages[i] = &validating.MessageExpressionCondition{MessageExpression: v.MessageExpression}
		}
	}
	annotations := make([]cel.ExpressionAccessor, len(p.Spec.AuditAnnotations))
	for i, a := range p.Spec.AuditAnnotations {
		annotations[i] = &validating.AuditAnnotationCondition{Key: a.Key, ValueExpression: a.ValueExpression}
	}
	return validating.NewValidator(condition(validations, full), matcher, condition(annotations, full), condition(messages, words), p.Spec.FailurePolicy, nil)
}

// nobodyMay answers a policy's questions about rights. The cluster's roles are
// not known here, so nobody has any.
type nobodyMay struct{}

// Authorize has no opinion, which the API server takes for a no.
func (nobodyMay) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, "", nil
}

// params gives the objects of a kind that policies may take their parameters
// from. None at all is what the API server says of a kind that it does not know.
func (c *cluster) params(kind *admissionv1.ParamKind) (informers.GenericInformer, meta.RESTScope) {
	want := kindOf(kind)
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	scope := scopeOf(want)
	for _, o := range c.others {
		if o.GetObjectKind().GroupVersionKind() != want {
			continue
		}
		if m, err := meta.Accessor(o); err == nil && scope == meta.RESTScopeRoot {
			m.SetNamespace("") // as the API server does
		}
		store.Add(o) // its key is made of what every object has
	}
	resource, _ := meta.UnsafeGuessKindToResource(want)
	if !scheme.Scheme.Recognizes(want) {
		return nil, scope
	}
	return &informer{lister: cache.NewGenericLister(store, resource.GroupResource())}, scope
}

// An informer gives objects that are all there from the beginning.
type informer struct {
	cache.SharedIndexInformer
	lister cache.GenericLister
}

// Informer is the informer itself.
func (i *informer) Informer() cache.SharedIndexInformer { return i }

// Lister lists the objects.
func (i *informer) Lister() cache.GenericLister { return i.lister }

// HasSynced says that all are there.
func (i *informer) HasSynced() bool { return true }
