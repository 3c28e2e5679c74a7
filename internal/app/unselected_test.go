package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const unselectedPods = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web, tier: front}}, spec: {containers: [{name: web, image: web}]}}}
`

// TestUnselected names the Services that lead nowhere, and none that may lead
// somewhere.
func TestUnselected(t *testing.T) {
	service := func(spec string) string {
		return "---\napiVersion: v1\nkind: Service\nmetadata: {name: notes}\nspec: " + spec + "\n"
	}
	const mistyped = "{selector: {app: wbe}, ports: [{port: 80}]}"
	for name, c := range map[string]struct {
		manifests string
		want      []string
	}{
		"a mistyped label":         {service(mistyped), []string{"a.yaml:6"}},
		"one label too many":       {service("{selector: {app: web, tier: back}, ports: [{port: 80}]}"), []string{"a.yaml:6"}},
		"another namespace":        {"---\napiVersion: v1\nkind: Service\nmetadata: {name: notes, namespace: b}\nspec: {selector: {app: web}}\n", []string{"a.yaml:6"}},
		"some of the pod's labels": {service("{selector: {app: web}, ports: [{port: 80}]}"), nil},
		"no selector":              {service("{ports: [{port: 80}]}"), nil},
		"a name outside":           {service("{type: ExternalName, externalName: example.com, selector: {app: wbe}}"), nil},
		"a custom resource":        {service(mistyped) + "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r}\n", nil},
		"a budget makes no pods":   {service(mistyped) + "---\napiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: r}\n", []string{"a.yaml:6"}},
		"a custom one elsewhere":   {service(mistyped) + "---\napiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r, namespace: b}\n", []string{"a.yaml:6"}},
	} {
		a, err := LoadFiles("test", map[string][]byte{"a.yaml": []byte(unselectedPods + c.manifests)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range a.Unselected() {
			got = append(got, o.Pos(nil).String())
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

// A label that is not there is no empty one, and no word takes nothing.
func TestSelects(t *testing.T) {
	for _, c := range []struct {
		selector, labels map[string]string
		want             bool
	}{
		{map[string]string{"app": "web"}, map[string]string{"app": "web", "tier": "front"}, true},
		{map[string]string{"app": "web", "tier": "back"}, map[string]string{"app": "web"}, false},
		{map[string]string{"app": ""}, map[string]string{"tier": "front"}, false},
		{map[string]string{"app": ""}, map[string]string{"app": ""}, true},
		{nil, map[string]string{"app": "web"}, false},
		{nil, nil, false},
	} {
		if got := Selects(c.selector, c.labels); got != c.want {
			t.Errorf("%v takes %v: %v", c.selector, c.labels, got)
		}
	}
}
