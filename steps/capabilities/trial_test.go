package capabilities

import (
	"slices"
	"testing"

	"road/internal/app"
)

// TestTrial asks for trials of what runs as root only, and notes what they find.
func TestTrial(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{"p.yaml": []byte(`apiVersion: v1
kind: Pod
metadata: {name: root}
spec:
  containers:
  - {name: a, image: i, securityContext: {capabilities: {add: [SYS_TIME, CHOWN]}}}
  - {name: b, image: i, securityContext: {runAsUser: 1}}
---
apiVersion: v1
kind: Pod
metadata: {name: user}
spec: {securityContext: {runAsNonRoot: true}, containers: [{name: c, image: i}]}
`)})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"pod/user", "pod/nobody"} {
		if g := candidates(a, id); g != nil {
			t.Errorf("%s: %v", id, g)
		}
		grant(a, id, []string{"KILL"})
	}
	all := slices.Concat(candidates(a, "pod/root")...)
	if len(all) != 15 || all[0] != "DAC_OVERRIDE" || all[14] != "SYS_TIME" {
		t.Errorf("%d: %v", len(all), all)
	}
	if sorted := slices.Sorted(slices.Values(all)); len(slices.Compact(sorted)) != 15 {
		t.Errorf("a name stands there twice: %v", all)
	}
	grant(a, "pod/root", []string{"SETUID", "CHOWN"})
	grant(a, "pod/root", []string{"SETUID", "KILL"})
	if got := a.Seen.Inside("pod/root", "a").Capabilities; !slices.Equal(got, []string{"KILL", "SETUID"}) {
		t.Errorf("got %v", got)
	}
	if got := a.Seen.Inside("pod/root", "b").Capabilities; got != nil {
		t.Errorf("a user got %v", got)
	}
}
