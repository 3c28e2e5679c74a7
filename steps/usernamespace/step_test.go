package usernamespace

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

// TestContradictions has the step write no pod that does not start, and say why.
func TestContradictions(t *testing.T) {
	for spec, want := range map[string]string{
		"hostNetwork: true, containers: [{name: c, image: i}]":                                                               "hostNetwork: true",
		"hostPID: true, containers: [{name: c, image: i}]":                                                                   "hostPID: true",
		"hostIPC: true, containers: [{name: c, image: i}]":                                                                   "hostIPC: true",
		"containers: [{name: c, image: i, volumeDevices: [{name: d, devicePath: /dev/x}]}]":                                  `volumeDevices of container "c"`,
		"volumes: [{name: v, nfs: {server: s, path: /}}], containers: [{name: c, image: i}]":                                 `volume "v" off NFS`,
		"securityContext: {fsGroup: 65536}, containers: [{name: c, image: i}]":                                               "65536",
		"securityContext: {supplementalGroups: [1, 70000]}, containers: [{name: c, image: i}]":                               "70000",
		"containers: [{name: c, image: i}], initContainers: [{name: d, image: i, securityContext: {runAsUser: 1000640000}}]": "1000640000",
	} {
		a, err := app.LoadFiles("test", map[string][]byte{"pod.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {" + spec + "}\n")})
		if err != nil {
			t.Fatal(err)
		}
		edits, err := Step.Fix(a)
		if err != nil || len(edits) != 0 {
			t.Errorf("%s: %v, %v", spec, edits, err)
		}
		if f := Step.Check(a); len(f) != 1 || !strings.Contains(f[0].Hint, want) {
			t.Errorf("%s: %+v", spec, f)
		}
	}
}

// TestWeakenUnmasked leaves a pod that the API server takes: an unmasked /proc is
// only for users of one's own.
func TestWeakenUnmasked(t *testing.T) {
	a, err := app.LoadFiles("test", map[string][]byte{"pod.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n" +
		"spec: {hostUsers: false, containers: [{name: c, image: i, securityContext: {procMount: Unmasked}}]}\n")})
	if err != nil {
		t.Fatal(err)
	}
	Step.Weaken(a)
	if p := a.Workloads[0].Pod; p.HostUsers != nil || p.Containers[0].SecurityContext.ProcMount != nil {
		t.Errorf("%v, %v", p.HostUsers, p.Containers[0].SecurityContext.ProcMount)
	}
}
