package seccomp

import (
	"testing"

	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

func TestAgreesWithPodSecurity(t *testing.T) {
	steptest.AgreesWithPodSecurity(t, Step, []string{"seccompProfile_baseline", "seccompProfile_restricted"},
		"{securityContext: {seccompProfile: {type: Unconfined}}, containers: [{name: c, image: i, securityContext: {seccompProfile: {type: RuntimeDefault}}}]}",
		"{containers: [{name: c, image: i, securityContext: {seccompProfile: {type: RuntimeDefault}}}, {name: d, image: i}]}",
		"{containers: [{name: c, image: i, securityContext: {seccompProfile: {type: Localhost, localhostProfile: x}}}]}",
		"{securityContext: {seccompProfile: {type: RuntimeDefault}}, containers: [{name: c, image: i}], ephemeralContainers: [{name: e, image: i, securityContext: {seccompProfile: {type: Unconfined}}}]}",
		"{securityContext: {seccompProfile: {type: RuntimeNative}}, containers: [{name: c, image: i}]}",
		"{hostUsers: false, containers: [{name: c, image: i}]}",
		"{os: {name: windows}, containers: [{name: c, image: i}]}",
	)
}
