package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFronts has an Ingress and the routes of the Gateway API lead to Services,
// and a route to anything else to none.
func TestFronts(t *testing.T) {
	a, err := LoadFiles("test", map[string][]byte{"a.yaml": []byte(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: i, namespace: shop}
spec:
  defaultBackend: {service: {name: web, port: {name: http}}}
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 81}}}}]}}]
---
apiVersion: v1
kind: List
items:
- apiVersion: gateway.networking.k8s.io/v1
  kind: HTTPRoute
  metadata: {name: r}
  spec:
    rules:
    - backendRefs: [{name: web, port: 80}, {name: bucket, kind: Bucket, group: x}]
    - backendRefs:
      - {name: far, namespace: other, port: 9000, kind: Service}
- apiVersion: gateway.networking.k8s.io/v1alpha2
  kind: TCPRoute
  metadata: {name: t, namespace: db}
  spec: {rules: [{backendRefs: [{name: db, port: 5432}]}]}
- apiVersion: example.com/v1
  kind: HTTPRoute
  metadata: {name: other}
  spec: {rules: [{backendRefs: [{name: no, port: 1}]}]}
`)})
	if err != nil {
		t.Fatal(err)
	}
	want := []Front{{"shop", "web", 0, "http"}, {"shop", "api", 81, ""}, {"default", "web", 80, ""}, {"other", "far", 9000, ""}, {"db", "db", 5432, ""}}
	if d := cmp.Diff(want, a.Fronts()); d != "" {
		t.Error(d)
	}
	web := &Object{Name: "web"}
	for f, want := range map[Front]bool{{"default", "web", 80, ""}: true, {"default", "web", 0, "http"}: true, {"default", "web", 0, ""}: true,
		{"default", "web", 81, ""}: false, {"default", "web", 0, "x"}: false, {"shop", "web", 80, ""}: false, {"default", "api", 80, ""}: false} {
		if f.Leads(web, 80, "http") != want {
			t.Errorf("%+v: not %v", f, want)
		}
	}
}
