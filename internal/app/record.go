package app

import (
	"fmt"
	"slices"
	"strings"
)

// RecordSchema names the form of a Record in JSON. It changes when a field
// changes its meaning.
const RecordSchema = "road/seen/v1"

// Hidden stands in reports and records in the place of a secret.
const Hidden = "***"

// A Record is what runs of an application showed, saved: what road learn writes
// and road fix --seen reads.
type Record struct {
	Schema    string              `json:"schema"`
	App       string              `json:"app"`
	Runtime   string              `json:"runtime"` // where it was run: "runc 1.1.5, kernel 6.18"
	Notes     []string            `json:"notes,omitempty"`
	Workloads map[string][]string `json:"workloads"` // "container image" by Workload.ID: whom it is about
	Seen      *Seen               `json:"seen"`
}

// NewRecord makes a record of what was seen of a.
func NewRecord(a *App, runtime string) *Record {
	return &Record{Schema: RecordSchema, App: a.Name, Runtime: runtime, Workloads: programs(a), Seen: a.Seen}
}

// programs gives the containers of every workload with their images.
func programs(a *App) map[string][]string {
	out := map[string][]string{}
	for _, w := range a.Workloads {
		list := []string{}
		for c := range w.Containers() {
			list = append(list, c.Spec.Name+" "+c.Spec.Image)
		}
		out[w.ID()] = list
	}
	return out
}

// Fits says how a differs from the application that the record is about: another
// workload, container or image. nil where it is the same.
func (r *Record) Fits(a *App) error {
	if r.Schema != RecordSchema {
		return fmt.Errorf("it has the schema %q, not %q", r.Schema, RecordSchema)
	}
	var differ []string
	now := programs(a)
	for id, list := range now {
		was, there := r.Workloads[id]
		switch {
		case !there:
			differ = append(differ, id+" was not there")
		case !slices.Equal(was, list):
			differ = append(differ, fmt.Sprintf("%s ran %s, and now has %s", id, strings.Join(was, ", "), strings.Join(list, ", ")))
		}
	}
	for id := range r.Workloads {
		if _, there := now[id]; !there {
			differ = append(differ, id+" is not there any more")
		}
	}
	if len(differ) == 0 {
		return nil
	}
	slices.Sort(differ)
	return fmt.Errorf("it is about another application: %s", strings.Join(differ, "; "))
}
