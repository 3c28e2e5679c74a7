package oci

import (
	"road/internal/app"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// secret gives the data of a Secret as the API server would store it: what PATH
// declares, else what stands for one that PATH lacks.
func secret(a *app.App, namespace, name string) (map[string][]byte, bool) {
	data := map[string][]byte{}
	for _, o := range a.Objects {
		s, ok := o.Typed.(*corev1.Secret)
		if !ok || o.Name != name || o.Home() != namespace {
			continue
		}
		for k, v := range s.Data {
			data[k] = v
		}
		for k, v := range s.StringData { // written last, as the API server does
			data[k] = []byte(v)
		}
		return data, true
	}
	return stand(a, "Secret", namespace, name)
}

// stand gives what stands for an object that PATH lacks.
func stand(a *app.App, kind, namespace, name string) (map[string][]byte, bool) {
	values, ok := a.Stand(kind, namespace, name)
	data := map[string][]byte{}
	for k, v := range values {
		data[k] = []byte(v)
	}
	return data, ok
}

// configMap gives the data of a ConfigMap, binary data included.
func configMap(a *app.App, namespace, name string, ca []byte) (map[string][]byte, bool) {
	for _, o := range a.Objects {
		c, ok := o.Typed.(*corev1.ConfigMap)
		if !ok || o.Name != name || o.Home() != namespace {
			continue
		}
		data := map[string][]byte{}
		for k, v := range c.Data {
			data[k] = []byte(v)
		}
		for k, v := range c.BinaryData {
			data[k] = v
		}
		return data, true
	}
	if name == "kube-root-ca.crt" { // every namespace has it
		return map[string][]byte{"ca.crt": ca}, true
	}
	return stand(a, "ConfigMap", namespace, name)
}

// accountOf names the service account of a pod.
func accountOf(spec *corev1.PodSpec) string {
	if spec.ServiceAccountName == "" {
		return "default"
	}
	return spec.ServiceAccountName
}

// automount says whether a service account wants its token in pods; nil where it
// does not say.
func automount(a *app.App, namespace, account string) *bool {
	for _, o := range a.Objects {
		if s, ok := o.Typed.(*corev1.ServiceAccount); ok && o.Name == account && o.Home() == namespace {
			return s.AutomountServiceAccountToken
		}
	}
	return nil
}

// claimTemplates names the volumes that a StatefulSet makes for each of its pods.
func claimTemplates(w *app.Workload) []string {
	s, ok := w.Typed.(*appsv1.StatefulSet)
	if !ok {
		return nil
	}
	var names []string
	for _, t := range s.Spec.VolumeClaimTemplates {
		names = append(names, t.Name)
	}
	return names
}
