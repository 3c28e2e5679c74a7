package app

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// A Missing is an object that pods refer to and no manifest declares. In a
// cluster somebody else has made it; a walk makes it with placeholders.
type Missing struct {
	Pos       // the first place that refers to it
	Kind      string
	Namespace string
	Name      string
	Keys      []string          // of a Secret or ConfigMap, those that pods name, sorted
	Values    map[string]string // what it is made with, by key: what road.yaml gives, else Placeholder
}

// Placeholder stands for a value that nobody gave.
const Placeholder = "placeholder"

// String says what is made: "Secret default/db with placeholders for password".
func (m *Missing) String() string {
	s := fmt.Sprintf("%s %s/%s", m.Kind, m.Namespace, m.Name)
	var blank []string
	for _, k := range m.Keys {
		if m.Values[k] == Placeholder {
			blank = append(blank, k)
		}
	}
	switch {
	case m.Kind != "Secret" && m.Kind != "ConfigMap":
		return s
	case len(blank) > 0:
		return s + ` with "` + Placeholder + `" for ` + strings.Join(blank, ", ")
	case len(m.Values) > 0:
		return s + " with the values of " + FileName
	}
	return s + ", empty"
}

// Missing lists what the pods of the application refer to and PATH lacks, in the
// order in which they refer to it: Secrets, ConfigMaps, volume claims and service
// accounts. What is optional may be missing.
func (a *App) Missing() []*Missing {
	f := &finder{app: a}
	for _, w := range a.Workloads {
		f.pod(w)
	}
	for _, m := range f.found {
		f.fill(m)
	}
	return f.found
}

// Stand gives the values of a Secret or ConfigMap that PATH lacks; ok is false
// where no pod needs it and road.yaml gives none.
func (a *App) Stand(kind, namespace, name string) (values map[string]string, ok bool) {
	for _, m := range a.Missing() {
		if m.Kind == kind && m.Namespace == namespace && m.Name == name {
			return m.Values, true
		}
	}
	values, ok = a.given(kind)[name]
	return values, ok
}

// given is what road.yaml has for missing objects of a kind.
func (a *App) given(kind string) map[string]map[string]string {
	switch kind {
	case "Secret":
		return a.Config.Secrets
	case "ConfigMap":
		return a.Config.ConfigMaps
	}
	return nil
}

// A finder collects what is missing.
type finder struct {
	app   *App
	found []*Missing
}

// need notes that a pod refers to an object, and to keys of it.
func (f *finder) need(w *Workload, path Path, kind, name string, optional *bool, keys ...string) {
	if name == "" || optional != nil && *optional || f.there(kind, w.Home(), name) {
		return
	}
	i := slices.IndexFunc(f.found, func(m *Missing) bool {
		return m.Kind == kind && m.Namespace == w.Home() && m.Name == name
	})
	if i < 0 {
		i = len(f.found)
		f.found = append(f.found, &Missing{Pos: w.Pos(path), Kind: kind, Namespace: w.Home(), Name: name})
	}
	m := f.found[i]
	m.Keys = append(m.Keys, keys...)
	slices.Sort(m.Keys)
	m.Keys = slices.Compact(m.Keys)
}

// there says whether a manifest declares the object, or every namespace has it.
func (f *finder) there(kind, namespace, name string) bool {
	if kind == "ServiceAccount" && name == "default" || kind == "ConfigMap" && name == "kube-root-ca.crt" {
		return true
	}
	return slices.ContainsFunc(f.app.Objects, func(o *Object) bool {
		return o.Kind == kind && o.Name == name && o.Home() == namespace
	})
}

func (f *finder) pod(w *Workload) {
	f.need(w, w.PodPath.Join("serviceAccountName"), "ServiceAccount", w.Pod.ServiceAccountName, nil)
	for c := range w.Containers() {
		for i, e := range c.Spec.EnvFrom {
			if r := e.SecretRef; r != nil {
				f.need(w, c.Path.Join("envFrom", i), "Secret", r.Name, r.Optional)
			}
			if r := e.ConfigMapRef; r != nil {
				f.need(w, c.Path.Join("envFrom", i), "ConfigMap", r.Name, r.Optional)
			}
		}
		for i, e := range c.Spec.Env {
			if e.ValueFrom == nil {
				continue
			}
			if r := e.ValueFrom.SecretKeyRef; r != nil {
				f.need(w, c.Path.Join("env", i), "Secret", r.Name, r.Optional, r.Key)
			}
			if r := e.ValueFrom.ConfigMapKeyRef; r != nil {
				f.need(w, c.Path.Join("env", i), "ConfigMap", r.Name, r.Optional, r.Key)
			}
		}
	}
	for i, v := range w.Pod.Volumes {
		f.volume(w, w.PodPath.Join("volumes", i), &v)
	}
}

// volume looks at one volume. A StatefulSet makes the claims of its templates.
func (f *finder) volume(w *Workload, at Path, v *corev1.Volume) {
	set, _ := w.Typed.(*appsv1.StatefulSet)
	switch {
	case v.Secret != nil:
		f.need(w, at, "Secret", v.Secret.SecretName, v.Secret.Optional, itemKeys(v.Secret.Items)...)
	case v.ConfigMap != nil:
		f.need(w, at, "ConfigMap", v.ConfigMap.Name, v.ConfigMap.Optional, itemKeys(v.ConfigMap.Items)...)
	case v.PersistentVolumeClaim != nil:
		if set == nil || !slices.ContainsFunc(set.Spec.VolumeClaimTemplates, func(t corev1.PersistentVolumeClaim) bool { return t.Name == v.Name }) {
			f.need(w, at, "PersistentVolumeClaim", v.PersistentVolumeClaim.ClaimName, nil)
		}
	case v.Projected != nil:
		for _, s := range v.Projected.Sources {
			if s.Secret != nil {
				f.need(w, at, "Secret", s.Secret.Name, s.Secret.Optional, itemKeys(s.Secret.Items)...)
			}
			if s.ConfigMap != nil {
				f.need(w, at, "ConfigMap", s.ConfigMap.Name, s.ConfigMap.Optional, itemKeys(s.ConfigMap.Items)...)
			}
		}
	}
	// Files of a volume that a container mounts by name are keys too.
	for c := range w.Containers() {
		for _, m := range c.Spec.VolumeMounts {
			if m.Name != v.Name || m.SubPath == "" || strings.Contains(m.SubPath, "/") {
				continue
			}
			if v.Secret != nil && len(v.Secret.Items) == 0 {
				f.need(w, at, "Secret", v.Secret.SecretName, v.Secret.Optional, m.SubPath)
			}
			if v.ConfigMap != nil && len(v.ConfigMap.Items) == 0 {
				f.need(w, at, "ConfigMap", v.ConfigMap.Name, v.ConfigMap.Optional, m.SubPath)
			}
		}
	}
}

func itemKeys(items []corev1.KeyToPath) []string {
	var keys []string
	for _, i := range items {
		keys = append(keys, i.Key)
	}
	return keys
}

// fill gives an object its values.
func (f *finder) fill(m *Missing) {
	m.Values = map[string]string{}
	for _, k := range m.Keys {
		m.Values[k] = Placeholder
	}
	for k, v := range f.app.given(m.Kind)[m.Name] {
		m.Values[k] = v
	}
}
