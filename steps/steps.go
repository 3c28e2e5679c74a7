// Package steps is the road: the steps in the order in which they are taken.
package steps

import (
	"road/internal/step"
	"road/steps/admission"
	"road/steps/capabilities"
	"road/steps/limits"
	"road/steps/minimalimage"
	"road/steps/networkpolicy"
	"road/steps/noescalation"
	"road/steps/nonroot"
	"road/steps/pinnedimage"
	"road/steps/readonlyroot"
	"road/steps/seccomp"
	"road/steps/serviceaccount"
	"road/steps/usernamespace"
)

// All is the road. The application as first released is stop 1; the step at
// place i leads to stop i+2. An order of harm: first who the attacker is, then
// what he can change, then whom he can reach, then what is left to run, then
// what the kernel still does for him.
var All = []*step.Step{
	nonroot.Step,        // root inside is root outside: take it away first, everything later leans on it
	readonlyroot.Step,   // what came with the image stays as it came, so nothing can be brought along
	networkpolicy.Step,  // the pods talk to those whom they need, and to nobody else
	minimalimage.Step,   // what an attacker finds to run when he is inside: nothing but the application
	limits.Step,         // what one pod may take from all others on its node
	capabilities.Step,   // root's single powers, should he come back
	noescalation.Step,   // and no way back to him by a setuid program
	seccomp.Step,        // the kernel answers what containers need, not what exploits begin with
	serviceaccount.Step, // the cluster's API is none of the container's business
	usernamespace.Step,  // and should root come back for all that, he is nobody outside
	pinnedimage.Step,    // what runs is what was tried, whoever moves a tag
	admission.Step,      // and the cluster takes nothing weaker in its place
}

// Not on the road:
//
//   - AppArmor and SELinux: cannot be proven on a host that lacks them; the
//     container runtime's default profile applies where the host has AppArmor
//   - secrets as files instead of variables: changes the application's code
//   - image signing: needs keys and a registry of the user's own
//   - service mesh: replaces the network instead of closing it
