package capabilities

import (
	"testing"

	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

func TestAgreesWithPodSecurity(t *testing.T) {
	steptest.AgreesWithPodSecurity(t, Step, []string{"capabilities_baseline", "capabilities_restricted", "privileged"},
		"{containers: [{name: c, image: i, securityContext: {capabilities: {drop: [all]}}}]}",
		"{containers: [{name: c, image: i, securityContext: {capabilities: {drop: [CAP_ALL]}}}]}",
		"{containers: [{name: c, image: i, securityContext: {capabilities: {drop: [KILL, ALL], add: [NET_BIND_SERVICE]}}}]}",
		"{containers: [{name: c, image: i, securityContext: {capabilities: {drop: [ALL], add: [CAP_NET_BIND_SERVICE]}}}]}",
		"{containers: [{name: c, image: i, securityContext: {privileged: true, capabilities: {drop: [ALL]}}}]}",
		"{hostUsers: false, containers: [{name: c, image: i}]}",
		"{os: {name: windows}, containers: [{name: c, image: i}]}",
	)
}
