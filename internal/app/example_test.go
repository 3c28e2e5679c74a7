package app_test

import (
	"fmt"

	"road/internal/app"
)

func ExampleLoadFiles() {
	a, err := app.LoadFiles("shop", map[string][]byte{
		"web/Dockerfile": []byte("FROM debian:trixie-slim\nUSER 65532\n"),
		"k8s/web.yaml": []byte(`apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      containers:
      - name: web
        image: registry.example/shop/web:1
`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			fmt.Println(c.Pos("securityContext", "runAsNonRoot"), w.ID(), c.Spec.Name)
		}
	}
	for _, i := range a.Images {
		fmt.Println(i.Ref, "is built from", i.Build.Dockerfile.File, "because of", i.Build.Inferred)
		fmt.Println("user", i.Build.Dockerfile.Final("").Last("USER").Args)
	}
	// Output:
	// k8s/web.yaml:8 deployment/web web
	// registry.example/shop/web:1 is built from web/Dockerfile because of its name
	// user 65532
}
