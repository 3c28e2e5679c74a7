package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	corpusFiles = 300  // of the smaller corpus
	checkRuns   = 9    // of each corpus, alternating
	oneIn       = 100  // documents of a stream is a Deployment
	longStream  = 1e5  // documents
	mebibyte    = 1024 // kibibytes, in which the kernel counts
)

// check measures road check: a folder against one twice as large, and a stream
// against one twice as long. Ratios are of wall times of whole processes.
func check(ctx context.Context, road string) error {
	dir, err := os.MkdirTemp("", "road-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	small, large := filepath.Join(dir, "small"), filepath.Join(dir, "large")
	if err := errors.Join(writeCorpus(small, corpusFiles), writeCorpus(large, 2*corpusFiles)); err != nil {
		return err
	}
	var short, long, ratios, work, memory, double []float64
	for i := range checkRuns + 1 {
		a, err := checkOnce(ctx, road, small, nil)
		if err != nil {
			return err
		}
		b, err := checkOnce(ctx, road, large, nil)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // files and program come from the disk
		}
		short, long, ratios = append(short, a.seconds), append(long, b.seconds), append(ratios, b.seconds/a.seconds)
		work, memory, double = append(work, b.cpu/a.cpu), append(memory, a.peak), append(double, b.peak)
	}
	ratio("check: twice the files, time", ratios, goal{most: 2}, fmt.Sprintf("%.3f s for 300 files, %.3f s for 600", median(short), median(long)))
	ratio("check: twice the files, processor time", work, goal{}, "others disturb it less than the time")
	idle, err := measure(exec.CommandContext(ctx, road, "version"), 0)
	if err != nil {
		return err
	}
	m := median(memory)
	row("check: 300 files, 500 documents, peak memory", m, fmt.Sprintf("%.1f MiB", m), goal{most: 50, unit: " MiB"},
		fmt.Sprintf("%.1f MiB for 600 files; road version alone %.1f MiB", median(double), idle.peak))
	return checkStreams(ctx, road)
}

// checkStreams measures long streams, of which few documents have anything to find.
func checkStreams(ctx context.Context, road string) error {
	half, err := checkOnce(ctx, road, "-", stream(longStream/2))
	if err != nil {
		return err
	}
	whole, err := checkOnce(ctx, road, "-", stream(longStream))
	if err != nil {
		return err
	}
	size := float64(len(stream(longStream))) / (1 << 20)
	row("check: 100,000 documents in one stream, time", 0, fmt.Sprintf("%.1f s", whole.seconds), goal{}, fmt.Sprintf("%.1f MiB of input; half of it %.1f s", size, half.seconds))
	row("check: 100,000 documents, peak memory", 0, fmt.Sprintf("%.0f MiB", whole.peak), goal{},
		fmt.Sprintf("half of it %.0f MiB: grows by %.1f bytes a byte of input", half.peak, (whole.peak-half.peak)/(size/2)))
	return nil
}

// A cost is what a process took.
type cost struct {
	seconds float64 // of wall time
	cpu     float64 // seconds of processors
	peak    float64 // of resident memory, in MiB
}

// checkOnce runs road check, which must find something: exit status 1.
func checkOnce(ctx context.Context, road, path string, stdin []byte) (cost, error) {
	cmd := exec.CommandContext(ctx, road, "check", "--quiet", path)
	cmd.Stdin = bytes.NewReader(stdin)
	return measure(cmd, 1)
}

// measure runs cmd to its end, which must have an exit status.
func measure(cmd *exec.Cmd, want int) (cost, error) {
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &stderr
	begun := time.Now()
	err := cmd.Run()
	took := time.Since(begun)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return cost{}, err
	}
	p := cmd.ProcessState
	if p.ExitCode() != want {
		return cost{}, fmt.Errorf("%s: %s, want exit status %d: %s", cmd, p, want, stderr.Bytes())
	}
	usage, ok := p.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, errors.New("the system does not say what a process used")
	}
	return cost{took.Seconds(), (p.UserTime() + p.SystemTime()).Seconds(), float64(usage.Maxrss) / mebibyte}, nil
}
