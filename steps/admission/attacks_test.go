package admission

import (
	"context"
	"errors"
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// server admits what it is told to: a new pod by its name, a change by what it
// changes.
type server func(string) (bool, error)

func (server) Log(sandbox.StandIn) []string { return nil }

func (s server) Admit(_ context.Context, o runtime.Object) (sandbox.Admission, error) {
	ok, err := s(o.(*corev1.Pod).Name)
	return sandbox.Admission{Allowed: ok, Message: "no " + o.(*corev1.Pod).Name}, err
}

func (s server) Update(_ context.Context, old, now runtime.Object, subresource string) (sandbox.Admission, error) {
	was, is := old.(*corev1.Pod), now.(*corev1.Pod)
	what := subresource
	if was.Spec.Containers[0].Image != is.Spec.Containers[0].Image {
		what += is.Spec.Containers[0].Image
	}
	ok, err := s(what)
	return sandbox.Admission{Allowed: ok, Message: "no " + what}, err
}

func load(t *testing.T, spec string) *app.App {
	t.Helper()
	a, err := app.LoadFiles("test", map[string][]byte{"p.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: " + spec + "\n")})
	if err != nil || len(a.Workloads) != 1 {
		t.Fatalf("%v %v", err, a.Problems)
	}
	return a
}

// TestRegress holds when going back counts: one pod or one change that is admitted
// is enough, a pod that is as it came cannot go back, and only a pod that has a
// digest can lose it.
func TestRegress(t *testing.T) {
	old, now := load(t, "{containers: [{name: c, image: 'i:1'}]}"), load(t, "{hostUsers: false, containers: [{name: c, image: 'i:2'}]}")
	built := load(t, "{containers: [{name: c, image: 'i:2'}]}")
	const digest = "@sha256:0000000000000000000000000000000000000000000000000000000000000000"
	pinned := load(t, "{hostUsers: false, containers: [{name: c, image: 'i:3"+digest+"'}]}")
	other := load(t, "{hostUsers: false, containers: [{name: d, image: 'i:3"+digest+"'}]}")
	only := func(what string) server { return func(asked string) (bool, error) { return asked == what, nil } }
	const debug = "\nupdate: no ephemeralcontainers"
	for _, c := range []struct {
		name    string
		now     *app.App
		admits  server
		verdict step.Verdict
		asked   string
	}{
		{"nobody", now, only(""), step.Blocked, "create: no as-at-1.0\ncreate: no privileged" + debug},
		{"the old", now, only("as-at-1.0"), step.Succeeded, "create: pod/as-at-1.0 created (server dry run)\ncreate: no privileged" + debug},
		{"the privileged", now, only("privileged"), step.Succeeded, "create: pod/privileged created (server dry run)\ncreate: no as-at-1.0" + debug},
		{"nobody, and no digest lost", pinned, only(""), step.Blocked, "create: no as-at-1.0\ncreate: no privileged\nupdate: no i:1" + debug},
		{"the old image", pinned, only("i:1"), step.Succeeded, "update: pod/p image updated to i:1 (server dry run)\ncreate: no as-at-1.0\ncreate: no privileged" + debug},
		{"an image without a digest", other, only("i:3"), step.Succeeded, "update: pod/p image updated to i:3 (server dry run)\ncreate: no as-at-1.0\ncreate: no privileged" + debug},
		{"a container beside", now, only("ephemeralcontainers"), step.Succeeded, "update: pod/p got a privileged container to debug with (server dry run)\ncreate: no as-at-1.0\ncreate: no privileged"},
		{"as it came", old, only("as-at-1.0"), step.Blocked, "create: no privileged" + debug + "\nthe pod is as it came, so going back to it is no step back"},
		{"built anew", built, only("as-at-1.0"), step.Blocked, "create: no privileged" + debug + "\nthe pod is as it came, so going back to it is no step back"},
	} {
		s := &sandbox.Scene{App: c.now, First: old, Target: sandbox.Target{Workload: "pod/p", Container: "c"}, Control: c.admits}
		out, err := regress(t.Context(), s)
		if err != nil || out.Verdict != c.verdict || out.Evidence != c.asked {
			t.Errorf("%s: %+v, %v", c.name, out, err)
		}
	}
	s := &sandbox.Scene{App: now, Target: sandbox.Target{Workload: "pod/p"}, Control: server(func(string) (bool, error) { return false, errors.New("no answer") })}
	if out, err := regress(t.Context(), s); err == nil || out.Verdict != "" {
		t.Errorf("no answer: %+v", out)
	}
	if p := privileged("i"); (&place{}).violates(&app.Workload{Object: &app.Object{}, Pod: &p}, "baseline") == "" {
		t.Error("the privileged pod passes baseline")
	}
	if v := (&place{}).violates(old.Workloads[0], "restricted"); !strings.Contains(v, "allowPrivilegeEscalation") {
		t.Error(v)
	}
}
