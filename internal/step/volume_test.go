package step

import (
	"testing"

	"road/internal/app"
	"road/internal/sandbox"
)

func TestSayWhose(t *testing.T) {
	for volumes, want := range map[string]string{
		`containers: [{name: c, image: i}]`: "seen\n" + roadsVolume,
		`containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, emptyDir: {}}]`:                 "seen",
		`containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v, readOnly: true}]}], volumes: [{name: v, emptyDir: {}}]`: "seen\n" + roadsVolume,
		`containers: [{name: c, image: i, volumeMounts: [{name: v, mountPath: /v}]}], volumes: [{name: v, configMap: {name: m}}]`:         "seen\n" + roadsVolume,
		`containers: [{name: c, image: i, volumeMounts: [{name: claimed, mountPath: /v}]}]`:                                               "seen",
	} {
		a, err := app.LoadFiles("test", map[string][]byte{"pod.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {" + volumes + "}\n")})
		if err != nil {
			t.Fatal(err)
		}
		s := &sandbox.Scene{App: a, Target: sandbox.Target{Workload: "pod/p", Container: "c"}}
		if got := SayWhose(s, Outcome{Evidence: "seen"}).Evidence; got != want {
			t.Errorf("%s: %q, want %q", volumes, got, want)
		}
	}
}
