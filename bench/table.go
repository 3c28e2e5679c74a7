package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A goal is a bound of a figure. The zero value is none.
type goal struct {
	most, least float64
	unit        string // behind the bound: " s"
}

// text gives "at most 2" and whether v keeps to it.
func (g goal) text(v float64) (bound, outcome string) {
	met := true
	switch {
	case g.most > 0:
		bound, met = "at most "+number(g.most)+g.unit, v <= g.most
	case g.least > 0:
		bound, met = "at least "+number(g.least)+g.unit, v >= g.least
	default:
		return "", ""
	}
	if met {
		return bound, "met"
	}
	return bound, "NOT MET"
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 3, 64) }

// layout is that of every line of the table.
const layout = "%-52s %10s  %-15s %-8s %s\n"

// head says what is measured on, and heads the table.
func head() {
	fmt.Printf("%d processors, Linux %s, %s, %s\n\n", runtime.NumCPU(), kernel(), runtime.Version(), time.Now().UTC().Format("2006-01-02 15:04 MST"))
	printRow("figure", "seen", "goal", "", "")
}

// of judges the median of pairs. Where more than a quarter of the pairs say the
// opposite, nothing is clear.
func (g goal) of(pairs []float64) (bound, outcome string) {
	bound, outcome = g.text(median(pairs))
	agree := 0
	for _, v := range pairs {
		if _, one := g.text(v); one == outcome {
			agree++
		}
	}
	if 4*agree < 3*len(pairs) {
		outcome = "unclear"
	}
	return bound, outcome
}

// ratio prints the median of pairs beside its goal, with their spread.
func ratio(name string, pairs []float64, g goal, more string) {
	bound, outcome := g.of(pairs)
	printRow(name, fmt.Sprintf("%.3f x", median(pairs)), bound, outcome,
		fmt.Sprintf("%.2f to %.2f in %d pairs; %s", slices.Min(pairs), slices.Max(pairs), len(pairs), more))
}

// row prints a figure beside its goal; v is its number, seen how it is written.
func row(name string, v float64, seen string, g goal, more string) {
	bound, outcome := g.text(v)
	printRow(name, seen, bound, outcome, more)
}

func printRow(cells ...any) {
	fmt.Println(strings.TrimRight(strings.TrimSuffix(fmt.Sprintf(layout, cells...), "\n"), " "))
}

// note prints a line that is no figure.
func note(format string, args ...any) { fmt.Printf("# "+format+"\n", args...) }

// kernel gives the kernel's release.
func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// othersBusy gives how many processors are kept busy while this program does
// nothing.
func othersBusy() (float64, error) {
	was, err := busyTicks()
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	time.Sleep(2 * time.Second)
	is, err := busyTicks()
	const ticks = 100 // a second, in /proc on Linux
	return (is - was) / ticks / time.Since(begun).Seconds(), err
}

// busyTicks gives the time that all processors together were busy: all columns of
// /proc/stat's first line but idle and iowait, and the guests that user has too.
func busyTicks() (float64, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, fmt.Errorf("/proc/stat begins with %q", line)
	}
	sum := 0.0
	for i, field := range f[1:9] {
		if i == 3 || i == 4 {
			continue
		}
		v, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return 0, fmt.Errorf("/proc/stat: %w", err)
		}
		sum += v
	}
	return sum, nil
}

// median gives the middle one, or the mean of the middle two.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	if len(s)%2 == 1 {
		return s[len(s)/2]
	}
	return (s[len(s)/2-1] + s[len(s)/2]) / 2
}
