// Package step is the contract of a step of the road: what every folder under
// steps/ declares as its Step, and what the driver may count on.
package step

import (
	"context"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/sandbox"
)

// A Step closes one way in. Each folder under steps/ declares one, as var Step.
type Step struct {
	Name    string // kebab-case, never changes: CLI argument, JSON id, SARIF ruleId
	Title   string // imperative: "Run as a non-root user"
	Explain string // explain.md, embedded: What changes? What does this prevent? What can it break? How is it proven?
	Refs    []Ref  // Pod Security, CIS (with version), OWASP, ATT&CK

	// Check says what is missing. It is pure: no files, no network, no clock.
	Check func(*app.App) []Finding

	// Fix says what to change. It is pure too: data, not an act. After its edits
	// Check reports only findings that NeedsRun, and none once Seen is full. A
	// workload that cannot be fixed gets no edit, and its finding stays.
	Fix func(*app.App) ([]edit.Edit, error)

	// Weaken takes the protection away in memory: the positive control where the
	// app has it already, and the test that takes it out.
	Weaken func(*app.App)

	Attacks []Attack

	// Unborne says why clusters of the application's target (road.yaml) do not bear
	// what the step writes to a workload, "" where they do; nil where every target
	// does. Such a workload is left out.
	Unborne func(*app.App, *app.Workload) string

	// Publish has the driver ask for the digests of the images (app.Seen.Pins)
	// before Check and Fix.
	Publish bool

	// Trace says whether Fix wants the system calls of the application as it stands,
	// which a run then records in Seen; nil where a step never does.
	Trace func(*app.App) bool

	// AdmissionOnly says that the attacks ask nothing but what the cluster admits.
	// Such a step refuses 1.0's own pods, so 1.0 plus only this step cannot run:
	// its stop's answers, which hang on nothing else of the application, are those
	// of the step alone.
	AdmissionOnly bool

	// Keeps says what a workload keeps, as Fix would change it now, of what the step
	// is there to take away: "a shell: its entry point is a script". nil where a step
	// takes all or nothing.
	Keeps func(a *app.App, workload string) []string

	// Learn notes in a.Seen what the last lines of a workload's log show that failed
	// with the step; Fix is then asked again. nil where they show nothing.
	Learn func(a *app.App, workload, log string)

	// Trial finds by running what a workload cannot do without; nil where a step
	// learns nothing that way.
	Trial *Trial
}

// A Trial is made where the application does not work with a step, workload by
// workload.
type Trial struct {
	// Candidates gives what a workload may need, in groups: each is granted on top
	// of those before it until the application works, then one name after another
	// is taken back. None means that nothing can be tried.
	Candidates func(a *app.App, workload string) [][]string

	// Grant notes in a.Seen what a workload gets, in place of an earlier grant.
	Grant func(a *app.App, workload string, names []string)
}

// A Ref is an item of a published framework.
type Ref struct {
	Framework string // "Pod Security", "CIS Kubernetes 1.12", "OWASP Kubernetes 2025", "ATT&CK v18"
	ID        string // "restricted: runAsNonRoot", "5.2.7", "K01", "T1611"
}

// A Finding is one place where a protection is missing.
type Finding struct {
	app.Pos
	Workload  string // app.Workload.ID
	Container string // "" for the pod
	Message   string // lower case, no period: `container "web" may run as root`
	Hint      string // what to write there
	NeedsRun  bool   // only a run can tell what to write
	Apart     bool   // what mends it goes into a file of its own, not where it was found
}

// Transport is the way an attack takes into the container.
type Transport string

// The ways in.
const (
	Command Transport = "command" // through a hole of the app that runs commands
	Request Transport = "request" // through a hole of the app that fetches addresses
	Code    Transport = "code"    // code running inside the app's process, as if a payload had been loaded
	Other   Transport = "other"   // from outside the container: a neighbour, the registry, the API
)

// An Attack is one act of an attacker, real, with an effect seen from outside
// the attacked container; where there is none, as of a system call that the kernel
// lets through, its own answer counts.
type Attack struct {
	Name      string // kebab-case, never changes
	Goal      string // what the attacker gets, one line: "install software into the container"
	Transport Transport
	Needs     []sandbox.Power // what the engine and host must enforce or show, else Unproven
	Anywhere  bool            // where the application has no hole for it, code inside tries it in every container
	OwnPod    bool            // it changes its container where it succeeds, or says in Outcome.Left that it did, so it gets a pod that no attack of this kind has changed, and no other attack comes after it there
	Waits     bool            // it mostly waits and disturbs no other, so it may act beside them in one scene
	Alone     bool            // nothing acts beside it on its node, nor anywhere another such attack: it uses up what all pods share; those of a step have one pod of their own together
	EndsPod   bool            // what stops it ends the pod, so it comes last there, in one that no attack has changed, and few act at once
	Open      string          // why the road leaves it open; "" for an attack that its step stops

	// Run acts and judges. An error means Unproven with the reason.
	Run func(context.Context, *sandbox.Scene) (Outcome, error)
}

// A Verdict is what an attack came to.
type Verdict string

// The verdicts. The zero value counts as Unproven.
const (
	Unproven  Verdict = "unproven"
	Succeeded Verdict = "succeeded"
	Blocked   Verdict = "blocked"
)

// An Outcome is a verdict with the lines that show it.
type Outcome struct {
	Verdict  Verdict
	Evidence string // real lines, as they came: "touch: /app/x: Read-only file system"
	Reason   string // why it is unproven
	Left     bool   // it was blocked, and what it did before that stays in the container: no other attack may come after it there
}

// WithHint puts what to do about something behind what it says, in brackets.
func WithHint(text, hint string) string {
	if hint == "" {
		return text
	}
	return text + " (" + hint + ")"
}
