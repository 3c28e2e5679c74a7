package admission

import (
	"slices"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

// TestHeldOnUpdate: a policy that is asked about new pods alone lets one that runs
// have another image, and nothing else of what the rules are about.
func TestHeldOnUpdate(t *testing.T) {
	for operations, want := range map[string][]string{"CREATE": {"images by digest"}, "CREATE, UPDATE": nil, `"*"`: nil, "UPDATE": {"a read-only root file system", "images by digest"}} {
		a, err := app.LoadFiles("shop", map[string][]byte{"road.yaml": []byte("apiVersion: road/v1\nnamespace: shop\n"), "pod.yaml": []byte(`apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: "i@sha256:` + strings.Repeat("0", 64) + `", securityContext: {readOnlyRootFilesystem: true}}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: own}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [` + operations + `], resources: [pods]}]}
  variables: [{name: containers, expression: object.spec.containers}]
  validations:
  - expression: "` + rules[0].expression + `"
  - expression: "` + byDigest + `"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: own}
spec: {policyName: own, validationActions: [Deny]}
`)})
		if err != nil || len(a.Problems) > 0 {
			t.Fatalf("%v %v", err, a.Problems)
		}
		var names []string
		for _, r := range places(a)[0].unruled(a) {
			names = append(names, r.name)
		}
		if !slices.Equal(names, want) {
			t.Errorf("asked at %s: nothing holds to %q, want %q", operations, names, want)
		}
	}
}
