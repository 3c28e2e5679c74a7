package walk

import "road/internal/sandbox"

// An Event is one thing that happened in a walk. Every view of a walk that is
// still going on, on a terminal or on a page, is made from this stream; the
// Report is its sum. Events come one at a time. Those of a stop come in order,
// from StopStarted to StopDone; the next stop begins while the attacks on this
// one go on, and comparisons may follow a StopDone.
type Event interface{ event() }

// Begun is the first event.
type Begun struct {
	App    string       `json:"app"`
	Engine sandbox.Info `json:"engine"`
	Stops  []Heading    `json:"stops"` // 1.0 and every stop that is planned
}

// A Heading names a stop.
type Heading struct {
	Number int    `json:"number"`
	Step   string `json:"step"` // "" at 1
	Title  string `json:"title"`
}

// StopStarted says that work on a stop begins.
type StopStarted struct{ Heading }

// A Phase is a part of the work on a stop.
type Phase string

// The phases. Control is an attack on a variant that only serves comparison.
const (
	Copying   Phase = "copy"
	Building  Phase = "build"
	Starting  Phase = "start"
	Checking  Phase = "checks"
	Tracing   Phase = "trace"
	Attacking Phase = "attacks"
	Control   Phase = "control"
	Measuring Phase = "figures"
)

// PhaseStarted says what is going on now. Detail is one short line.
type PhaseStarted struct {
	Stop   int    `json:"stop"`
	Phase  Phase  `json:"phase"`
	Detail string `json:"detail,omitempty"`
}

// Progress is a line from inside a phase: "web: apt-get install (3/7)".
type Progress struct {
	Stop int    `json:"stop"`
	Line string `json:"line"`
}

// PhaseDone ends a phase. Detail sums it up: "4 pods", "5 of 9 succeeded".
type PhaseDone struct {
	Stop    int     `json:"stop"`
	Phase   Phase   `json:"phase"`
	Detail  string  `json:"detail,omitempty"`
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
}

// Found tells what the step's check said before the fix, and the fix.
type Found struct {
	Stop     int       `json:"stop"`
	Findings []Finding `json:"findings"`
	Diff     string    `json:"diff"`
}

// CheckDone is the outcome of one check of the application.
type CheckDone struct {
	Stop  int         `json:"stop"`
	Check CheckResult `json:"check"`
}

// AttackStarted says that an attack on one target begins.
type AttackStarted struct {
	Stop   int    `json:"stop"`
	Side   Side   `json:"side"`
	Attack string `json:"attack"`
	Target string `json:"target"`
}

// AttackDone is the outcome of one attack on one target. The verdict is what the
// attack itself said; the report's may be weaker, where nothing compares.
type AttackDone struct {
	Stop   int    `json:"stop"`
	Side   Side   `json:"side"`
	Attack string `json:"attack"`
	Cell   Cell   `json:"cell"`
}

// A Side says on which variant of the application an attack was run.
type Side string

// The sides.
const (
	InSequence Side = "sequence" // the application at this stop
	AloneSide  Side = "alone"    // 1.0 plus only this step
	Weakened   Side = "weakened" // 1.0 with this step's protection taken away
)

// StopDone ends a stop.
type StopDone struct {
	Stop *Stop `json:"stop"`
}

// Note is something that was inferred, assumed or went wrong without ending the
// walk.
type Note struct {
	Stop int    `json:"stop,omitempty"` // 0: of the whole walk
	Text string `json:"text"`
}

func (Begun) event()         {}
func (StopStarted) event()   {}
func (PhaseStarted) event()  {}
func (Progress) event()      {}
func (PhaseDone) event()     {}
func (Found) event()         {}
func (CheckDone) event()     {}
func (AttackStarted) event() {}
func (AttackDone) event()    {}
func (StopDone) event()      {}
func (Note) event()          {}
