package report

import (
	"fmt"
	"strconv"

	"road/internal/walk"
)

// A measure is one row of the figures below the matrix. It gives "" where there
// is none.
type measure struct {
	name string
	of   func(walk.Figures) string
}

var measures = []measure{
	{"image, MB", func(f walk.Figures) string { return short(float64(f.ImageBytes) / 1e6) }},
	{"programs in it", func(f walk.Figures) string { return known(f.Executables) }},
	{"writable directories", func(f walk.Figures) string { return counted(f.WritableDirs) }},
	{"reachable endpoints", func(f walk.Figures) string { return counted(f.ReachableEndpoints) }},
	{"capabilities", func(f walk.Figures) string { return counted(f.Capabilities) }},
	{"system calls", func(f walk.Figures) string { return known(f.Syscalls) }},
	{"requests a second", func(f walk.Figures) string { return known(int(f.RequestsPerSecond + 0.5)) }},
	{"99th percentile, ms", func(f walk.Figures) string { return short(f.P99Millis) }},
}

// measures writes what each stop costs and buys, below the matrix and in its
// columns.
func (t *text) measures(stops []int, width int) {
	figures := map[int]walk.Figures{}
	var load *walk.Load
	for _, s := range t.report.Stops {
		figures[s.Number] = s.Figures
		if load == nil {
			load = s.Figures.Load
		}
	}
	title := "figures of the front"
	if load != nil {
		title += fmt.Sprintf("; %d requests a second offered for %.3g s", load.PerSecond, load.Seconds)
	}
	for _, m := range measures {
		parts, any := []string{indent, pad("  "+m.name, width)}, false
		for _, n := range stops {
			v := m.of(figures[n])
			any = any || v != ""
			parts = append(parts, fmt.Sprintf("%-5s", v))
		}
		if !any {
			continue
		}
		if title != "" {
			t.line(indent, t.dim.Render(title))
			title = ""
		}
		t.line(parts...)
	}
}

// short writes a number in at most four characters.
func short(v float64) string {
	switch {
	case v <= 0:
		return ""
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

func known(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func counted(n *int) string {
	if n == nil {
		return ""
	}
	return strconv.Itoa(*n)
}
