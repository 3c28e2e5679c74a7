package minimalimage

import (
	"fmt"
	"strings"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
)

// A variableValue is what a manifest says of a variable.
type variableValue struct {
	text     string
	known    bool // text is the value; else only the cluster knows it
	optional bool // it may not be there at all
}

// podValue finds the variable of a container as the kubelet does: env goes before
// envFrom, and what comes later before what comes earlier. The error says that a
// source which nobody wrote here may hold it.
func podValue(a *app.App, c *app.Container, name string) (v variableValue, ok bool, err error) {
	for _, e := range c.Spec.Env {
		if e.Name == name {
			v, ok = variableValue{text: e.Value, known: e.ValueFrom == nil && !strings.Contains(e.Value, "$("), optional: optional(e.ValueFrom)}, true
		}
	}
	if ok {
		return v, true, nil
	}
	for _, from := range c.Spec.EnvFrom {
		key, has := strings.CutPrefix(name, from.Prefix)
		if !has {
			continue
		}
		data, found := source(a, c.Workload, from)
		if !found {
			return variableValue{}, false, fmt.Errorf("envFrom of container %q may hold $%s, and its source is not here", c.Spec.Name, name)
		}
		if text, has := data[key]; has {
			v, ok = variableValue{text: text, known: true}, true
		}
	}
	return v, ok, nil
}

func optional(from *corev1.EnvVarSource) bool {
	is := func(b *bool) bool { return b != nil && *b }
	return from != nil && (from.ConfigMapKeyRef != nil && is(from.ConfigMapKeyRef.Optional) || from.SecretKeyRef != nil && is(from.SecretKeyRef.Optional))
}

// source gives what a ConfigMap or Secret of the folder holds.
func source(a *app.App, w *app.Workload, from corev1.EnvFromSource) (map[string]string, bool) {
	for _, o := range a.Objects {
		if o.Home() != w.Home() {
			continue
		}
		switch typed := o.Typed.(type) {
		case *corev1.ConfigMap:
			if from.ConfigMapRef != nil && from.ConfigMapRef.Name == o.Name {
				return typed.Data, true
			}
		case *corev1.Secret:
			if from.SecretRef != nil && from.SecretRef.Name == o.Name {
				data := map[string]string{}
				for k, v := range typed.Data {
					data[k] = string(v)
				}
				for k, v := range typed.StringData {
					data[k] = v
				}
				return data, true
			}
		}
	}
	return nil, false
}
