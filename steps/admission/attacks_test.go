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

// server admits the pods that it is told to.
type server func(*corev1.Pod) (bool, error)

func (server) Log(sandbox.StandIn) []string { return nil }

func (s server) Admit(_ context.Context, o runtime.Object) (sandbox.Admission, error) {
	ok, err := s(o.(*corev1.Pod))
	return sandbox.Admission{Allowed: ok, Message: "no " + o.(*corev1.Pod).Name}, err
}

func load(t *testing.T, spec string) *app.App {
	t.Helper()
	a, err := app.LoadFiles("test", map[string][]byte{"p.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: " + spec + "\n")})
	if err != nil || len(a.Workloads) != 1 {
		t.Fatalf("%v %v", err, a.Problems)
	}
	return a
}

// TestRegress holds when going back counts: one pod that is admitted is enough,
// and a pod that is as it came cannot go back.
func TestRegress(t *testing.T) {
	old, now := load(t, "{containers: [{name: c, image: 'i:1'}]}"), load(t, "{hostUsers: false, containers: [{name: c, image: 'i:2'}]}")
	built := load(t, "{containers: [{name: c, image: 'i:2'}]}")
	only := func(name string) server { return func(p *corev1.Pod) (bool, error) { return p.Name == name, nil } }
	for _, c := range []struct {
		name    string
		now     *app.App
		admits  server
		verdict step.Verdict
		asked   string
	}{
		{"nobody", now, only(""), step.Blocked, "no as-at-1.0\nno privileged"},
		{"the old", now, only("as-at-1.0"), step.Succeeded, "pod/as-at-1.0 created (server dry run)\nno privileged"},
		{"the privileged", now, only("privileged"), step.Succeeded, "pod/privileged created (server dry run)\nno as-at-1.0"},
		{"as it came", old, only("as-at-1.0"), step.Blocked, "no privileged\nthe pod is as it came, so going back to it is no step back"},
		{"built anew", built, only("as-at-1.0"), step.Blocked, "no privileged\nthe pod is as it came, so going back to it is no step back"},
	} {
		s := &sandbox.Scene{App: c.now, First: old, Target: sandbox.Target{Workload: "pod/p", Container: "c"}, Control: c.admits}
		out, err := regress(t.Context(), s)
		if err != nil || out.Verdict != c.verdict || out.Evidence != c.asked {
			t.Errorf("%s: %+v, %v", c.name, out, err)
		}
	}
	s := &sandbox.Scene{App: now, Target: sandbox.Target{Workload: "pod/p"}, Control: server(func(*corev1.Pod) (bool, error) { return false, errors.New("no answer") })}
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
