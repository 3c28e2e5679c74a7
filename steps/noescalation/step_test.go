package noescalation

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

func TestAgreesWithPodSecurity(t *testing.T) {
	steptest.AgreesWithPodSecurity(t, Step, []string{"allowPrivilegeEscalation"},
		"{containers: [{name: c, image: i, securityContext: {privileged: true}}]}",
		"{hostUsers: false, containers: [{name: c, image: i}]}",
		"{os: {name: windows}, containers: [{name: c, image: i}]}",
		"{containers: [{name: c, image: i, securityContext: {allowPrivilegeEscalation: false}}], ephemeralContainers: [{name: e, image: i}]}",
	)
}

// TestContradictions has the step write no pod that the API refuses, and say why.
func TestContradictions(t *testing.T) {
	for sc, want := range map[string]string{
		"{privileged: true}":                     "privileged: true",
		"{capabilities: {add: [SYS_ADMIN]}}":     "SYS_ADMIN",
		"{capabilities: {add: [CAP_SYS_ADMIN]}}": "SYS_ADMIN",
	} {
		a, err := app.LoadFiles("test", map[string][]byte{"pod.yaml": []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i, securityContext: " + sc + "}]}\n")})
		if err != nil {
			t.Fatal(err)
		}
		edits, err := Step.Fix(a)
		if err != nil || len(edits) != 0 {
			t.Errorf("%s: %v, %v", sc, edits, err)
		}
		if f := Step.Check(a); len(f) != 1 || !strings.Contains(f[0].Hint, want) {
			t.Errorf("%s: %+v", sc, f)
		}
	}
}
