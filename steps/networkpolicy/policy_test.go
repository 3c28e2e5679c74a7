package networkpolicy

import (
	"testing"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	networkingv1 "k8s.io/api/networking/v1"
)

// The controller's namespace and pod are one peer: as two, each of them alone
// would let through.
func TestOnePeer(t *testing.T) {
	a, err := app.Load("../../demo")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range a.Workloads {
		a.Seen.Inside(w.ID(), w.Pod.Containers[0].Name).Connects = []app.Connection{}
	}
	edits, err := step.Plan(Step, a)
	if err != nil {
		t.Fatal(err)
	}
	after, refused := edit.Apply(a.Files(), edits)
	if len(refused) > 0 || len(after) != 1 {
		t.Fatalf("%v, %d files", refused, len(after))
	}
	b, err := app.LoadFiles("demo", after)
	if err != nil || len(b.Problems) > 0 || len(b.Objects) != 2 {
		t.Fatalf("%v, %v, %d objects", err, b.Problems, len(b.Objects))
	}
	np := b.Objects[0].Typed.(*networkingv1.NetworkPolicy)
	from := np.Spec.Ingress[0].From
	if len(from) != 1 || from[0].NamespaceSelector == nil || from[0].PodSelector == nil {
		t.Errorf("the front door is %+v", from)
	}
}

func TestScalar(t *testing.T) {
	for in, want := range map[string]string{
		"web": "web", "k8s-app": "k8s-app", "app.kubernetes.io/name": "app.kubernetes.io/name", "1.2.3.4/32": "1.2.3.4/32",
		"true": `"true"`, "No": `"No"`, "1": `"1"`, "1e3": `"1e3"`, "": `""`, "a b": `"a b"`, "1.2": `"1.2"`, "::/0": `"::/0"`,
	} {
		if got := scalar(in); got != want {
			t.Errorf("%q is written %s, want %s", in, got, want)
		}
	}
}
