package app

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/api/meta"
)

// ExceptionKey is what an annotation begins with that excepts a workload from a
// step: "road/except.STEP" for its pods, "road/except.STEP.CONTAINER" for one
// container, with a value like "2027-01-31 the vendor's image needs it".
const ExceptionKey = "road/except"

// An Exception says that a step is not wanted for a workload, why, and until when.
type Exception struct {
	Pos                 // where it stands
	Step      string    // the step's name; package app knows none of them
	Workload  string    // Workload.ID
	Container string    // "" for all containers and the pod
	Reason    string    // one line, never empty
	Until     time.Time // the last day on which it holds, at its beginning in UTC
	Annotated bool      // it stands on the object itself, not in road.yaml
}

// Ended says whether the last day of the exception is over, anywhere: days are
// those of UTC.
func (e *Exception) Ended(now time.Time) bool { return !now.Before(e.Until.AddDate(0, 0, 1)) }

// Day is the last day as it is written.
func (e *Exception) Day() string { return e.Until.Format(time.DateOnly) }

// String says why and until when: "excepted until 2027-01-31: the vendor's image
// needs it".
func (e *Exception) String() string { return fmt.Sprintf("excepted until %s: %s", e.Day(), e.Reason) }

// Exceptions gives what the owner of the application excepts, in road.yaml and in
// annotations on workloads or their pods, in the order of files and lines. The
// error is a *ConfigError with everything that is wrong with them.
func (a *App) Exceptions() ([]*Exception, error) {
	var list []*Exception
	e := &ConfigError{}
	for i := range a.Config.exceptions {
		c := &a.Config.exceptions[i]
		named := 0
		for _, w := range a.Workloads {
			if w.ID() != c.Workload && w.Name != c.Workload {
				continue
			}
			named++
			x := *c
			x.Workload = w.ID()
			list = append(list, &x)
			if why := x.noContainer(w); why != "" {
				e.Problems = append(e.Problems, Problem{Pos: c.Pos, Message: why})
			}
		}
		if named == 0 {
			e.Problems = append(e.Problems, Problem{c.Pos, fmt.Sprintf("exceptions: there is no workload %s", c.Workload), "write its name, or KIND/NAME", false})
		}
	}
	for _, o := range a.Objects {
		list = append(list, a.annotated(o, e)...)
	}
	byPlace := func(x, y Pos) int { return cmp.Or(strings.Compare(x.File, y.File), x.Line-y.Line) }
	slices.SortStableFunc(list, func(x, y *Exception) int { return byPlace(x.Pos, y.Pos) })
	if len(e.Problems) > 0 {
		slices.SortStableFunc(e.Problems, func(x, y Problem) int { return byPlace(x.Pos, y.Pos) })
		return nil, e
	}
	return list, nil
}

// annotated reads the annotations of an object, and of its pods where it runs
// any, that begin with ExceptionKey.
func (a *App) annotated(o *Object, e *ConfigError) []*Exception {
	var list []*Exception
	read := func(annotations map[string]string, at Path, w *Workload) {
		for _, key := range slices.Sorted(maps.Keys(annotations)) {
			if key != ExceptionKey && !strings.HasPrefix(key, ExceptionKey+".") {
				continue
			}
			x := &Exception{Pos: o.Pos(at.Join(key)), Annotated: true}
			why, hint := x.parse(key, annotations[key])
			switch {
			case w == nil:
				why, hint = fmt.Sprintf("%s: a %s runs no pods, so nothing can be excepted", key, o.Kind), "put it on the workload"
			case why == "":
				x.Workload = w.ID()
				why = x.noContainer(w)
			}
			if why != "" {
				e.Problems = append(e.Problems, Problem{x.Pos, why, hint, false})
				continue
			}
			list = append(list, x)
		}
	}
	i := slices.IndexFunc(a.Workloads, func(w *Workload) bool { return w.Object == o })
	var w *Workload
	if i >= 0 {
		w = a.Workloads[i]
	}
	if m, err := meta.Accessor(o.Typed); err == nil {
		read(m.GetAnnotations(), o.Within.Join("metadata", "annotations"), w)
	}
	if n := 0; w != nil && w.Meta != nil && o.Kind != "Pod" {
		n = len(w.PodPath) - 1 // the pod's metadata lies beside its spec
		read(w.Meta.Annotations, w.PodPath[:n].Join("metadata", "annotations"), w)
	}
	return list
}

// parse takes an annotation apart, or says what is wrong with it.
func (x *Exception) parse(key, value string) (why, hint string) {
	rest, _ := strings.CutPrefix(key, ExceptionKey+".")
	x.Step, x.Container, _ = strings.Cut(rest, ".")
	if key == ExceptionKey || x.Step == "" {
		return key + " names no step", "write " + ExceptionKey + ".STEP"
	}
	day, reason, _ := strings.Cut(strings.TrimSpace(value), " ")
	if why := x.set(day, reason); why != "" {
		return key + ": " + why, `write "YYYY-MM-DD why"`
	}
	return "", ""
}

// set takes the day and the reason, or says what is wrong with them.
func (x *Exception) set(day, reason string) string {
	until, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return fmt.Sprintf("%q is no day", day)
	}
	x.Until, x.Reason = until, strings.Join(strings.Fields(reason), " ")
	if x.Reason == "" {
		return "it gives no reason"
	}
	return ""
}

// noContainer says that the workload lacks the container that x names.
func (x *Exception) noContainer(w *Workload) string {
	for c := range w.Containers() {
		if x.Container == "" || c.Spec.Name == x.Container {
			return ""
		}
	}
	return fmt.Sprintf("%s has no container %q to be excepted", w.ID(), x.Container)
}

// readExceptions reads road.yaml's list of them. Which workloads there are is not
// known yet.
func (c *Config) readExceptions(s *strict, n *yaml.Node) {
	s.items(n, "exceptions", func(n *yaml.Node) {
		x := Exception{Pos: Pos{File: s.file, Line: n.Line, Column: n.Column}}
		var reason, until string
		s.mapping(n, "an exception",
			key{"step", s.str(&x.Step, "step")},
			key{"workload", s.str(&x.Workload, "workload")},
			key{"container", s.str(&x.Container, "container")},
			key{"reason", s.str(&reason, "reason")},
			key{"until", s.str(&until, "until")})
		if n.Kind != yaml.MappingNode {
			return
		}
		for _, k := range []string{"step", "workload", "reason", "until"} {
			if field(n, k) == nil {
				s.fault(n, "{step: STEP, workload: NAME, reason: why, until: YYYY-MM-DD}", "an exception needs %s", k)
				return
			}
		}
		if why := x.set(until, reason); why != "" {
			at := field(n, "until")
			if x.Until.Year() > 1 {
				at = field(n, "reason")
			}
			s.fault(at, "write until: YYYY-MM-DD and reason: why", "an exception: %s", why)
			return
		}
		c.exceptions = append(c.exceptions, x)
	})
}
