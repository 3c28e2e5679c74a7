package walk

import (
	"road/internal/sandbox"
	"road/internal/step"
)

// Schema names the form of a Report in JSON. It changes when a field changes its
// meaning; new fields do not change it.
const Schema = "road/report/v1"

// A Report is everything that a walk found. Every output is a view of it.
type Report struct {
	Schema   string       `json:"schema"`
	App      string       `json:"app"`
	Engine   sandbox.Info `json:"engine"`
	Stops    []*Stop      `json:"stops"`
	Matrix   Matrix       `json:"matrix"`
	Notes    []string     `json:"notes,omitempty"`    // what was inferred or assumed
	Problems []string     `json:"problems,omitempty"` // files that were passed by
	Seconds  float64      `json:"seconds"`            // of wall time, from beginning to end
}

// Status says what became of a step, for the application or one workload.
type Status string

// The statuses.
const (
	Done    Status = "done"
	Already Status = "already"
	LeftOut Status = "left-out"
)

// A Stop is the application after one step.
type Stop struct {
	Number    int              `json:"number"` // 1 is the application as it came
	Step      string           `json:"step"`   // "" at 1
	Title     string           `json:"title"`
	Status    Status           `json:"status"`
	Reason    string           `json:"reason,omitempty"` // why it was left out
	Workloads []WorkloadResult `json:"workloads,omitempty"`
	Findings  []Finding        `json:"findings,omitempty"` // what Check said before the fix
	Diff      string           `json:"diff,omitempty"`
	Tried     string           `json:"tried,omitempty"`  // the diff of the first try of a step that was left out
	Commit    *Commit          `json:"commit,omitempty"` // where walk --commit made one
	Works     Works            `json:"works"`
	Attacks   []*AttackResult  `json:"attacks,omitempty"` // the step's own
	Evidence  []Evidence       `json:"evidence,omitempty"`
	Figures   Figures          `json:"figures"`
	Parts     Parts            `json:"parts"`
	Seconds   float64          `json:"seconds"` // the sum of Parts

	Silent bool `json:"-"` // it stands for a variant of a stop, whose phases are not told
}

// Broken is the first stop at which the application does not work, which only its
// start on empty volumes can show; 0 for none.
func (r *Report) Broken() int {
	for _, s := range r.Stops {
		if s.Works.Verdict == "broken" {
			return s.Number
		}
	}
	return 0
}

// A WorkloadResult is what a step did to one workload.
type WorkloadResult struct {
	Name       string   `json:"name"` // "deployment/web"
	Status     Status   `json:"status"`
	Reason     string   `json:"reason,omitempty"`
	Exceptions []string `json:"exceptions"`

	// Excepted says that it was left out on purpose: its owner excepts it, in the
	// words of Reason, or the clusters that he named do not bear it.
	Excepted bool `json:"excepted,omitempty"`
	// Spared are containers that were left out on purpose, while the others of the
	// workload have the step.
	Spared []string `json:"spared,omitempty"`
}

// A Finding is a step.Finding in a report.
type Finding struct {
	File      string `json:"file"`
	Line      int    `json:"line"`
	Workload  string `json:"workload,omitempty"`
	Container string `json:"container,omitempty"`
	Message   string `json:"message"`
	Hint      string `json:"hint,omitempty"`
}

// Works says whether the application does what its checks ask.
type Works struct {
	Verdict string        `json:"verdict"` // "works", "broken"
	Checks  []CheckResult `json:"checks"`
}

// A CheckResult is one check, with the real answer.
type CheckResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// An AttackResult is one attack on one target around a stop.
type AttackResult struct {
	Name      string         `json:"name"`
	Goal      string         `json:"goal"`
	Transport step.Transport `json:"transport"`
	Target    string         `json:"target"`             // "deployment/web container web"
	Open      string         `json:"open,omitempty"`     // why the road leaves it open
	ClosedBy  int            `json:"closedBy,omitempty"` // the stop after which it was blocked first
	Before    Cell           `json:"before"`             // at the stop before
	After     Cell           `json:"after"`              // at this stop
	Alone     Cell           `json:"alone"`              // at 1.0 plus only this step
	Weakened  *Cell          `json:"weakened,omitempty"` // at 1.0 with this protection taken away, where nothing else compares
}

// A Cell is the outcome of one attack at one stop.
type Cell struct {
	Verdict  step.Verdict `json:"verdict"`
	Evidence string       `json:"evidence,omitempty"`
	Reason   string       `json:"reason,omitempty"` // why it is unproven
	Target   string       `json:"target,omitempty"`
	Left     bool         `json:"-"`                  // step.Outcome.Left, which no reader of the report needs
	ClosedBy int          `json:"closedBy,omitempty"` // in the matrix, where it is blocked: the stop that turned it
}

// Evidence is something shown beside the attacks: the server's user and PID
// inside and outside.
type Evidence struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Figures are those of the front workload.
type Figures struct {
	ImageBytes   int64         `json:"imageBytes"` // of the front workload's image
	Images       []ImageFigure `json:"images,omitempty"`
	Executables  int           `json:"executables,omitempty"`  // names of programs in that image
	WritableDirs *int          `json:"writableDirs,omitempty"` // directories in which its process can make files; nil where it was not looked at
	Syscalls     int           `json:"syscalls,omitempty"`     // names that the filter of its front container allows, in part too; 0 where it was not looked at
	Capabilities *int          `json:"capabilities,omitempty"` // in the bounding set of its process; nil where it was not looked at

	ReachableEndpoints *int       `json:"reachableEndpoints,omitempty"` // of Endpoints, from inside its container; nil where it was not looked at
	Endpoints          []Endpoint `json:"endpoints,omitempty"`

	// Load is offered to one pod of the front along the users' path, while nothing
	// else of the walk's acts: each request at its time, answered or not.
	RequestsPerSecond float64 `json:"requestsPerSecond,omitempty"` // answered well, of those offered
	P99Millis         float64 `json:"p99Millis,omitempty"`         // from when it was due to its answer's end
	Load              *Load   `json:"load,omitempty"`
}

// A Load is how requests were offered.
type Load struct {
	PerSecond int     `json:"perSecond"`
	Seconds   float64 `json:"seconds"`
}

// An Endpoint is something that code inside may try to reach.
type Endpoint struct {
	Name    string `json:"name"`
	Reached bool   `json:"reached"`
}

// An ImageFigure is the unpacked size of one image, and what can be run in it.
type ImageFigure struct {
	Name        string `json:"name"`
	Bytes       int64  `json:"bytes"`
	Executables int    `json:"executables,omitempty"` // names of programs; 0 where nobody counted
}

// Parts are seconds of wall time that a stop's work took. The attacks on several
// stops go on side by side and beside the road, so that the parts of all stops
// sum up to more than Report.Seconds.
type Parts struct {
	Build   float64 `json:"build"`   // on the road
	Start   float64 `json:"start"`   // on the road
	Checks  float64 `json:"checks"`  // on the road
	Attacks float64 `json:"attacks"` // on the stop, with the start of what is attacked
	Figures float64 `json:"figures"` // load, with the start of what bears it
	Control float64 `json:"control"` // on 1.0 plus only this step, and without its protection, with their start
}

// A Matrix shows every attack at every stop.
type Matrix struct {
	Stops []int `json:"stops"`
	Rows  []Row `json:"rows"`
}

// A Row is one attack; a cell is the worst of its targets: succeeded, then
// unproven, then blocked.
type Row struct {
	Attack  string         `json:"attack"`
	Step    string         `json:"step"`           // the step that declares it
	Open    string         `json:"open,omitempty"` // why the road leaves it open
	Cells   []step.Verdict `json:"cells"`
	Details []Cell         `json:"details"`
}
