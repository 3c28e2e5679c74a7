// Package judge decides what a cluster admits, with the code of the API server:
// the Pod Security admission controller and the dispatcher of
// ValidatingAdmissionPolicies with its matching, its CEL environment and its
// words. What a cluster would read from its API comes with each request.
//
// Roles, resource quotas, webhooks and what changes objects (but for the API
// server's default values) have no say here, and nobody has rights to be asked
// for in a policy. Nor has validation: of most fields of a pod that runs the API
// server takes no other value, whatever is admitted, so an update that is asked
// about should be one that it takes.
//
// It links the API's client. Only the program road-admission may import it.
package judge

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	road "road/internal/admission"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
)

// Serve answers the requests on in, one a line, until it ends.
func Serve(in io.Reader, out io.Writer) error {
	klog.SetOutput(io.Discard)
	klog.LogToStderr(false)
	lines := bufio.NewReader(in)
	to := json.NewEncoder(out)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return err
		}
		var r road.Request
		var a road.Answer
		if err = json.Unmarshal(line, &r); err == nil {
			a, err = Decide(context.Background(), r)
		}
		if err != nil {
			a = road.Answer{Fault: err.Error()}
		}
		if err := to.Encode(a); err != nil {
			return err
		}
	}
}

// warnings collects what the API server would put into the header Warning.
type warnings []string

// AddWarning takes one.
func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

// Decide says what the API server says of one request: that of the first of its
// admission controllers that refuses. An error means that nobody can tell.
func Decide(ctx context.Context, r road.Request) (road.Answer, error) {
	c := &cluster{namespaces: map[string]*corev1.Namespace{}}
	for _, raw := range r.Cluster {
		o, err := decode(raw)
		if err != nil {
			return road.Answer{}, err
		}
		c.add(o)
	}
	attrs, err := attributes(r)
	if err != nil {
		return road.Answer{}, err
	}
	var warned warnings
	ctx = warning.WithWarningRecorder(ctx, &warned)
	refused, err := c.podSecurity(ctx, attrs)
	if err == nil && refused == "" {
		refused, err = c.policiesRefuse(ctx, attrs)
	}
	if err != nil {
		return road.Answer{}, err
	}
	return road.Answer{Allowed: refused == "", Message: refused, Warnings: warned}, nil
}

// decode reads an object with the values that complete fills in. Kinds that are
// not Kubernetes' own are refused: nothing here knows what they are.
func decode(raw []byte) (runtime.Object, error) {
	o, kind, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("the object cannot be read: %w", err)
	}
	o.GetObjectKind().SetGroupVersionKind(*kind)
	complete(o)
	return o, nil
}

// attributes describes what somebody wants to do.
func attributes(r road.Request) (admission.Attributes, error) {
	o, err := decode(r.Object)
	if err != nil {
		return nil, err
	}
	var old runtime.Object
	operation := admission.Create
	if r.Old != nil {
		operation = admission.Update
		if old, err = decode(r.Old); err != nil {
			return nil, err
		}
	}
	m, err := meta.Accessor(o)
	if err != nil {
		return nil, err
	}
	kind := o.GetObjectKind().GroupVersionKind()
	resource, _ := meta.UnsafeGuessKindToResource(kind)
	return admission.NewAttributesRecord(o, old, kind, m.GetNamespace(), m.GetName(), resource, r.Subresource, operation, nil, false,
		&user.DefaultInfo{Name: r.User, Groups: groups(r.User)}), nil
}

// groups gives the groups of a user as his name or, of the admin, his certificate
// tells them to the API server.
func groups(who string) []string {
	g := []string{user.AllAuthenticated}
	if namespace, _, err := serviceaccount.SplitUsername(who); err == nil {
		return append(serviceaccount.MakeGroupNames(namespace), g...)
	}
	if who == road.Admin {
		return append([]string{"kubeadm:cluster-admins"}, g...)
	}
	return g
}

// A cluster is what decides.
type cluster struct {
	namespaces map[string]*corev1.Namespace
	policies   []*admissionv1.ValidatingAdmissionPolicy
	bindings   []*admissionv1.ValidatingAdmissionPolicyBinding
	others     []runtime.Object // parameters of policies
}

func (c *cluster) add(o runtime.Object) {
	switch t := o.(type) {
	case *corev1.Namespace:
		c.namespaces[t.Name] = t
	case *admissionv1.ValidatingAdmissionPolicy:
		c.policies = append(c.policies, t)
	case *admissionv1.ValidatingAdmissionPolicyBinding:
		c.bindings = append(c.bindings, t)
	default:
		c.others = append(c.others, o)
	}
}

// kindOf gives the kind that a policy's paramKind names.
func kindOf(p *admissionv1.ParamKind) schema.GroupVersionKind {
	return schema.FromAPIVersionAndKind(p.APIVersion, p.Kind)
}
