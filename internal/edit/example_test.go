package edit_test

import (
	"fmt"

	"road/internal/app"
	"road/internal/edit"
)

func ExampleApply() {
	files := edit.Files{"pod.yaml": []byte(`apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  # one is enough
  containers:
  - name: web
    image: web:1 # built here
`)}
	changed, refused := edit.Apply(files, []edit.Edit{
		{File: "pod.yaml", Set: &edit.Set{Path: app.Path{"spec", "securityContext", "runAsNonRoot"}, Value: true, Before: "containers"}},
		{File: "pod.yaml", Set: &edit.Set{Path: app.Path{"spec", "containers", 0, "image"}, Value: "web:2"}},
	})
	fmt.Println(len(refused), "refused")
	fmt.Print(edit.Diff(files, changed))
	// Output:
	// 0 refused
	// --- a/pod.yaml
	// +++ b/pod.yaml
	// @@ -2,7 +2,9 @@
	//  kind: Pod
	//  metadata: {name: web}
	//  spec:
	// +  securityContext:
	// +    runAsNonRoot: true
	//    # one is enough
	//    containers:
	//    - name: web
	// -    image: web:1 # built here
	// +    image: web:2 # built here
}

func ExampleRefused() {
	files := edit.Files{"web.yaml": []byte("spec:\n  {{ .Values.spec }}\n")}
	_, refused := edit.Apply(files, []edit.Edit{
		{File: "web.yaml", Set: &edit.Set{Path: app.Path{"spec", "hostUsers"}, Value: false}},
	})
	for _, r := range refused {
		fmt.Printf("%v (%s)\n", r, r.Hint)
	}
	// Output:
	// web.yaml:2: a template is not edited (change the template by hand, or edit what it renders to)
}
