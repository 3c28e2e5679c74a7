package walk

import (
	"slices"
	"strings"

	"road/internal/step"
)

// unspared drops what a step finds in single containers that are excepted.
func (w *walker) unspared(s *step.Step, findings []step.Finding) []step.Finding {
	return slices.DeleteFunc(findings, func(f step.Finding) bool {
		x := step.Excepted(w.exceptions, s, w.app, f, w.o.Now)
		return x != nil && !x.Ended(w.o.Now) && x.Container != ""
	})
}

// except notes what of a stop's workloads is as it is because its owner or his
// clusters want it so, and says which exceptions have ended.
func (w *walker) except(s *step.Step, stop *Stop) {
	for i := range stop.Workloads {
		r := &stop.Workloads[i]
		if why := step.Unborne(s, w.app, r.Name); why != "" && r.Reason == w.mask.line(why) {
			r.Excepted = true
		}
	}
	for _, x := range w.exceptions {
		i := slices.IndexFunc(stop.Workloads, func(r WorkloadResult) bool { return r.Name == x.Workload })
		if x.Step != s.Name || i < 0 {
			continue
		}
		r := &stop.Workloads[i]
		switch {
		case x.Ended(w.o.Now):
			w.note(x.Pos.String() + ": the exception from " + s.Name + " for " + x.Workload + " ended on " + x.Day() + ": " + x.Reason)
		case r.Status == LeftOut && strings.Contains(r.Reason, w.mask.line(x.String())):
			r.Excepted = true
		case x.Container != "" && r.Status == Done:
			r.Spared = append(r.Spared, x.Container)
			r.Exceptions = append(r.Exceptions, w.mask.line("container "+x.Container+": "+x.String()))
		}
	}
}

// excepted says whether nothing but exceptions kept the stop from being made.
func (s *Stop) excepted() bool {
	n := 0
	for _, w := range s.Workloads {
		if w.Status == LeftOut && !w.Excepted {
			return false
		}
		if w.Excepted {
			n++
		}
	}
	return n > 0
}

// spares says whether what an attack acts on is excepted from the stop's step.
func (s *Stop) spares(target string) bool {
	id, container, _ := strings.Cut(target, " container ")
	return slices.ContainsFunc(s.Workloads, func(w WorkloadResult) bool {
		return w.Name == id && (w.Excepted || slices.Contains(w.Spared, container))
	})
}
