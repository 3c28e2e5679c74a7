package walk

import (
	"context"
	"fmt"
	"math/bits"
	"sort"
	"strconv"
	"strings"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
)

// evidenceLimit bounds the look at the front's processes. It takes parts of a second,
// but on a machine that many attacks share.
const evidenceLimit = 30 * time.Second

// figures fills in what the stop costs and buys, of the front workload.
func (w *walker) figures(stop *Stop) {
	seen := map[string]bool{}
	for _, wl := range w.app.Workloads {
		for c := range wl.Containers() {
			ref := c.Spec.Image
			f, ok := w.app.Seen.Images[ref]
			if !ok || seen[ref] {
				continue
			}
			seen[ref] = true
			stop.Figures.Images = append(stop.Figures.Images, ImageFigure{ref, f.Bytes, f.Executables})
		}
	}
	for c := range w.front(w.app).Containers() {
		if c.Kind == app.Normal {
			f := w.app.Seen.Images[c.Spec.Image]
			stop.Figures.ImageBytes, stop.Figures.Executables = f.Bytes, f.Executables
			return
		}
	}
}

// evidence shows the front's server as ps does, inside and outside: the same
// user, another PID. It is shown where it can be seen, and is no verdict.
func (w *walker) evidence(ctx context.Context, l *lane, stop *Stop) error {
	limit, cancel := context.WithTimeout(ctx, evidenceLimit)
	defer cancel()
	targets := everyContainer([]*app.Workload{w.front(l.app)})
	if len(targets) == 0 {
		return ctx.Err()
	}
	scene, err := l.serving.Scene(limit, targets[0], false)
	if err != nil {
		return ctx.Err()
	}
	if scene.Close != nil {
		defer scene.Close()
	}
	if scene.Node == nil {
		return nil
	}
	list, err := scene.Node.Processes()
	if err != nil || len(list) == 0 {
		return ctx.Err()
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Inside < list[j].Inside })
	server := list[0]
	var b strings.Builder
	line := func(where, user string, pid int) {
		fmt.Fprintf(&b, "%-8s %10s %8d   %s\n", where, user, pid, server.Command)
	}
	fmt.Fprintf(&b, "%-8s %10s %8s   %s\n", "", "USER", "PID", "COMMAND")
	line("inside", uidInside(limit, scene.Foothold, server.Inside), server.Inside)
	line("outside", strconv.Itoa(server.UID), server.PID)
	stop.Evidence = append(stop.Evidence, Evidence{"ps", strings.TrimRight(w.mask.text(b.String()), "\n")})
	w.granted(limit, scene.Foothold, stop)
	w.exposed(limit, scene, stop)
	w.filtered(scene.Node, stop)
	return ctx.Err()
}

// granted shows what the kernel grants a process of the front: which
// capabilities it may ever have, whether it may gain power, and whether its
// system calls are filtered.
func (w *walker) granted(ctx context.Context, f sandbox.Foothold, stop *Stop) {
	var status string
	if f == nil || f.Code(ctx, probe.Status, nil, &status) != nil {
		return
	}
	var lines []string
	for line := range strings.Lines(status) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		switch fields[0] {
		case "CapBnd:":
			if set, err := strconv.ParseUint(fields[1], 16, 64); err == nil {
				n := bits.OnesCount64(set)
				stop.Figures.Capabilities = &n
			}
			fallthrough
		case "CapEff:", "NoNewPrivs:", "Seccomp:":
			lines = append(lines, fmt.Sprintf("%-11s %s", fields[0], fields[1]))
		}
	}
	if len(lines) > 0 {
		stop.Evidence = append(stop.Evidence, Evidence{"status", w.mask.text(strings.Join(lines, "\n"))})
	}
}

// filtered counts the system calls that the front's filter lets through.
func (w *walker) filtered(n sandbox.Node, stop *Stop) {
	f, err := n.Filter()
	if err != nil {
		return
	}
	stop.Figures.Syscalls = f.Allowed
	stop.Evidence = append(stop.Evidence, Evidence{"filter",
		fmt.Sprintf("%d of %d system calls allowed, %d of them with certain arguments only", f.Allowed, f.Known, f.Partly)})
}

// uidInside asks inside the container who a process runs as; "?" where nothing
// there may be read.
func uidInside(ctx context.Context, f sandbox.Foothold, pid int) string {
	if f == nil {
		return "?"
	}
	var status probe.ReadResult
	if err := f.Code(ctx, probe.Read, probe.ReadArgs{Path: fmt.Sprintf("/proc/%d/status", pid)}, &status); err != nil {
		return "?"
	}
	for line := range strings.Lines(string(status.Data)) {
		// Uid: real, effective, saved, file system
		if fields := strings.Fields(line); len(fields) == 5 && fields[0] == "Uid:" {
			return fields[2]
		}
	}
	return "?"
}

// finish puts together what is known only at the end.
func (w *walker) finish(begun time.Time) {
	w.report.Seconds = time.Since(begun).Seconds()
	w.report.Matrix = w.book.matrix(w.plan)
	before := map[int]int{}
	last := 1
	for i, s := range w.report.Stops {
		before[s.Number] = last
		last = s.Number
		if s.Status != Done && i > 0 { // the same application as before
			last := w.report.Stops[i-1]
			was := s.Figures
			s.Evidence, s.Figures = last.Evidence, last.Figures
			s.Figures.ImageBytes, s.Figures.Images, s.Figures.Executables = was.ImageBytes, was.Images, was.Executables
		}
	}
	for _, s := range w.report.Stops {
		for _, p := range w.plan {
			if s.Number > 1 && p.number == s.Number {
				s.Attacks = w.book.results(p.step, s.Number, before[s.Number])
			}
		}
	}
}

// variant names a folder for a variant of the application.
func (w *walker) variant(p planned, what string) string {
	return strings.Join([]string{w.o.Dir, fmt.Sprintf("%s-%s", what, p.step.Name), w.o.Name}, "/")
}
