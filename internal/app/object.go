package app

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"go.yaml.in/yaml/v3"
)

// known are the kinds that road reads, by apiVersion and kind.
var known = map[string]func() any{
	"v1/Pod":                             func() any { return new(corev1.Pod) },
	"v1/ReplicationController":           func() any { return new(corev1.ReplicationController) },
	"v1/Service":                         func() any { return new(corev1.Service) },
	"v1/ConfigMap":                       func() any { return new(corev1.ConfigMap) },
	"v1/Secret":                          func() any { return new(corev1.Secret) },
	"v1/PersistentVolumeClaim":           func() any { return new(corev1.PersistentVolumeClaim) },
	"v1/ServiceAccount":                  func() any { return new(corev1.ServiceAccount) },
	"v1/Namespace":                       func() any { return new(corev1.Namespace) },
	"apps/v1/Deployment":                 func() any { return new(appsv1.Deployment) },
	"apps/v1/StatefulSet":                func() any { return new(appsv1.StatefulSet) },
	"apps/v1/DaemonSet":                  func() any { return new(appsv1.DaemonSet) },
	"apps/v1/ReplicaSet":                 func() any { return new(appsv1.ReplicaSet) },
	"batch/v1/Job":                       func() any { return new(batchv1.Job) },
	"batch/v1/CronJob":                   func() any { return new(batchv1.CronJob) },
	"networking.k8s.io/v1/Ingress":       func() any { return new(networkingv1.Ingress) },
	"networking.k8s.io/v1/NetworkPolicy": func() any { return new(networkingv1.NetworkPolicy) },

	"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy":        func() any { return new(admissionregistrationv1.ValidatingAdmissionPolicy) },
	"admissionregistration.k8s.io/v1/ValidatingAdmissionPolicyBinding": func() any { return new(admissionregistrationv1.ValidatingAdmissionPolicyBinding) },
}

// served says under which version Kubernetes serves a known kind today, for
// manifests that still name a version which it has dropped.
func served(apiVersion, kind string) string {
	group, _, _ := strings.Cut(apiVersion, "/")
	var now string
	switch kind {
	case "Deployment", "DaemonSet", "ReplicaSet", "StatefulSet":
		now = "apps/v1"
	case "CronJob", "Job":
		now = "batch/v1"
	case "Ingress", "NetworkPolicy":
		now = "networking.k8s.io/v1"
	default:
		return ""
	}
	ours, _, _ := strings.Cut(now, "/")
	if apiVersion == now || group != ours && group != "extensions" && apiVersion != "v1" {
		return ""
	}
	return now
}

// A result is what one manifest gave.
type result struct {
	objects  []*Object
	problems []Problem
}

// read gives the objects of one manifest: all, or none where it is a template.
func (l *loader) read(f *file) (r result) {
	if f.err != nil {
		return result{problems: []Problem{parseFailed(f)}}
	}
	for i, doc := range f.docs {
		n := top(doc)
		if n == nil || n.Kind != yaml.MappingNode {
			continue
		}
		if l.isTemplate(f, n) {
			return result{problems: []Problem{template(f)}}
		}
		o, p := l.addDocument(f, i, n)
		r.objects, r.problems = append(r.objects, o...), append(r.problems, p...)
	}
	return r
}

// parseFailed reports a file that is not YAML: a template, or broken.
func parseFailed(f *file) Problem {
	if f.braces {
		return template(f)
	}
	p, ok := f.err.(Problem)
	if !ok {
		p.Message = f.err.Error()
	}
	p.File = f.name
	p.Hint, p.Unread = "mend the file; until then it is passed by", true
	return p
}

// template reports a file that is a manifest only after rendering.
func template(f *file) Problem {
	before, _, _ := bytes.Cut(f.content, []byte("{{"))
	return Problem{
		Pos:     Pos{File: f.name, Line: bytes.Count(before, []byte("\n")) + 1},
		Message: "a template, not a manifest",
		Hint:    "render it and check the result: helm template . | road check -",
		Unread:  true,
	}
}

// isTemplate finds braces that a template engine has yet to replace and that
// happen to parse as YAML: {{ x }} as a value is a mapping in a mapping's key;
// quoted, it stands in a name or an image.
func (l *loader) isTemplate(f *file, n *yaml.Node) bool {
	if !f.braces {
		return false
	}
	if strings.Contains(text(field(n, "kind")), "{{") || strings.Contains(text(field(field(n, "metadata"), "name")), "{{") {
		return true
	}
	return l.inChart(f.name) || bracesInStructure(n, 0)
}

func bracesInStructure(n *yaml.Node, depth int) bool {
	if depth > maxDepth {
		return false
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			if c.Kind == yaml.MappingNode {
				return true
			}
			if c.Value == "image" && strings.Contains(text(n.Content[i+1]), "{{") {
				return true
			}
		}
		if bracesInStructure(c, depth+1) {
			return true
		}
	}
	return false
}

// addDocument reads the object of one document, or all items of a List.
func (l *loader) addDocument(f *file, doc int, n *yaml.Node) (objects []*Object, problems []Problem) {
	kind := text(field(n, "kind"))
	items := resolve(field(n, "items"))
	if strings.HasSuffix(kind, "List") && items != nil && items.Kind == yaml.SequenceNode {
		for i, item := range items.Content {
			if item = resolve(item); item.Kind != yaml.MappingNode {
				continue
			}
			o, p := l.object(f, doc, item, kind, Path{"items", i})
			if o != nil {
				objects = append(objects, o)
			}
			problems = append(problems, p...)
		}
		return objects, problems
	}
	o, p := l.object(f, doc, n, "", nil)
	if o != nil {
		objects = append(objects, o)
	}
	return objects, p
}

// object reads one object; nil where n is none. list is the kind of the List
// that it stands in, at within: the items of a PodList need not name their kind.
func (l *loader) object(f *file, doc int, n *yaml.Node, list string, within Path) (*Object, []Problem) {
	o := &Object{
		File: f.name, Doc: doc, Within: within, Line: f.lines.line(firstLine(n)),
		APIVersion: text(field(n, "apiVersion")), Kind: text(field(n, "kind")),
		source: &source{n, f.lines},
	}
	if o.Kind == "" && list != "List" {
		o.Kind = strings.TrimSuffix(list, "List")
	}
	if o.APIVersion == "" || o.Kind == "" {
		return nil, nil
	}
	meta := field(n, "metadata")
	o.Name, o.Namespace = text(field(meta, "name")), text(field(meta, "namespace"))
	if l.patches[f.name] {
		return o, nil
	}
	fresh := known[o.APIVersion+"/"+o.Kind]
	if fresh == nil {
		if now := served(o.APIVersion, o.Kind); now != "" {
			pos := o.Pos(Path{"apiVersion"})
			return o, []Problem{{pos, fmt.Sprintf("Kubernetes serves no %s in %s", o.Kind, o.APIVersion), "write apiVersion: " + now, true}}
		}
		return o, nil
	}
	v, faults := decode(n, fresh)
	problems := o.misnamed()
	readable := v != nil && len(problems) == 0
	for _, ft := range faults {
		pos := Pos{f.name, f.lines.line(ft.node.Line), ft.node.Column}
		if ft.unknown != nil && ft.hint == "" {
			ft.hint = o.explain(ft.unknown)
		}
		problems = append(problems, Problem{pos, ft.message, ft.hint, !ft.mild})
		readable = readable && ft.mild
	}
	if readable {
		o.Typed, _ = v.(runtime.Object)
	}
	if p, ok := o.lacksContainers(faults); ok {
		problems = append(problems, p)
	}
	if runsPods(o) && workload(o) == nil {
		o.Typed = nil // a patch
	}
	return o, problems
}

// misnamed reports names that Kubernetes takes for no object: RFC 1123, and they
// end up in paths and addresses.
func (o *Object) misnamed() []Problem {
	var problems []Problem
	for key, name := range map[string]string{"name": o.Name, "namespace": o.Namespace} {
		check := validation.IsDNS1123Subdomain
		if key == "namespace" {
			check = validation.IsDNS1123Label
		}
		if name == "" || len(check(name)) == 0 {
			continue
		}
		problems = append(problems, Problem{o.Pos(Path{"metadata", key}), fmt.Sprintf("%q is no %s that Kubernetes takes", name, key),
			"use lower-case letters, digits and -", true})
	}
	return problems
}

// firstLine gives the line of a mapping's first key, which may stand below the
// mapping's anchor.
func firstLine(n *yaml.Node) int {
	if len(n.Content) > 0 {
		return n.Content[0].Line
	}
	return n.Line
}

// runsPods says whether an object is of a kind that runs pods.
func runsPods(o *Object) bool {
	switch o.Typed.(type) {
	case *corev1.Pod, *corev1.ReplicationController, *appsv1.Deployment, *appsv1.StatefulSet,
		*appsv1.ReplicaSet, *appsv1.DaemonSet, *batchv1.Job, *batchv1.CronJob:
		return true
	}
	return false
}

// workload gives the object's pod template, nil where the object runs no pods or
// no container of it has an image: such a document is a patch for another.
func workload(o *Object) *Workload {
	w := podsOf(o)
	if w == nil {
		return nil
	}
	for c := range w.Containers() {
		if c.Spec.Image != "" {
			return w
		}
	}
	return nil
}

// podsOf gives the object's pod template, nil where the object runs no pods.
func podsOf(o *Object) *Workload {
	one, spec, template := int32(1), o.Within.Join("spec"), o.Within.Join("spec", "template", "spec")
	of := func(replicas *int32, t *corev1.PodTemplateSpec, p Path) *Workload {
		if replicas == nil {
			replicas = &one
		}
		return &Workload{o, *replicas, &t.ObjectMeta, &t.Spec, p}
	}
	switch t := o.Typed.(type) {
	case *corev1.Pod:
		return &Workload{o, 1, &t.ObjectMeta, &t.Spec, spec}
	case *corev1.ReplicationController:
		return of(t.Spec.Replicas, cmp.Or(t.Spec.Template, &corev1.PodTemplateSpec{}), template)
	case *appsv1.Deployment:
		return of(t.Spec.Replicas, &t.Spec.Template, template)
	case *appsv1.StatefulSet:
		return of(t.Spec.Replicas, &t.Spec.Template, template)
	case *appsv1.ReplicaSet:
		return of(t.Spec.Replicas, &t.Spec.Template, template)
	case *appsv1.DaemonSet:
		return of(nil, &t.Spec.Template, template)
	case *batchv1.Job:
		return of(nil, &t.Spec.Template, template)
	case *batchv1.CronJob:
		return of(nil, &t.Spec.JobTemplate.Spec.Template, o.Within.Join("spec", "jobTemplate", "spec", "template", "spec"))
	}
	return nil
}
