package walk

import "road/internal/edit"

// A Kept is what one done step changed in the application's files, in sequence:
// the road in files is all of them, one after the other.
type Kept struct {
	Number int // the stop
	Before edit.Files
	After  edit.Files // only the files that differ; new ones are not in Before
}

// keep tells the caller what a done step changed.
func (w *walker) keep(stop *Stop, c *change) {
	if w.o.Keep == nil || stop.Status != Done || c == nil {
		return
	}
	w.o.Keep(Kept{Number: stop.Number, Before: c.before, After: c.after})
}

// A Commit is the git commit that a stop was kept in.
type Commit struct {
	SHA     string `json:"sha"`
	Subject string `json:"subject"`
}
