package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"road/internal/walk"
)

// walked reads what the walk of the demo says of its own time.
func walked(ctx context.Context, o options) error {
	b, err := record(ctx, o)
	if err != nil {
		return err
	}
	var r walk.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return fmt.Errorf("the walk's report: %w", err)
	}
	if r.Schema != walk.Schema || len(r.Stops) == 0 || r.Seconds <= 0 {
		return fmt.Errorf("the walk's report has form %q, %d stops, %v seconds: want form %q and a walk", r.Schema, len(r.Stops), r.Seconds, walk.Schema)
	}
	attacks := 0
	var p walk.Parts
	for _, s := range r.Stops {
		attacks += len(s.Attacks)
		p.Build += s.Parts.Build
		p.Start += s.Parts.Start
		p.Checks += s.Parts.Checks
		p.Attacks += s.Parts.Attacks
		p.Figures += s.Parts.Figures
		p.Control += s.Parts.Control
	}
	row(fmt.Sprintf("walk: the demo, %d stops, wall time", len(r.Stops)), r.Seconds, fmt.Sprintf("%.1f s", r.Seconds), goal{most: 60, unit: " s"}, fmt.Sprintf("%d attacks on targets", attacks))
	for _, x := range []struct {
		name    string
		seconds float64
		more    string
	}{
		{"build", p.Build, "on the road; seconds mean that the store was not warm"},
		{"start", p.Start, "on the road"},
		{"checks", p.Checks, "on the road"},
		{"attacks", p.Attacks, "side by side: sums, not wall time"},
		{"control", p.Control, "side by side: sums, not wall time"},
		{"figures", p.Figures, "two stops at a time where answers are quick"},
	} {
		row("walk: all stops, "+x.name, 0, fmt.Sprintf("%.1f s", x.seconds), goal{}, x.more)
	}
	return nil
}

// record gives the report of a walk that was, or of one that is made now.
func record(ctx context.Context, o options) ([]byte, error) {
	if o.record != "" {
		return os.ReadFile(o.record)
	}
	cmd := exec.CommandContext(ctx, o.road, "walk", "--quiet", "-o", "json")
	// The walk cleans up when it is interrupted; killed, it leaves that to the next.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	// An attack that no step stops is a finding, with exit status 1.
	if err != nil && cmd.ProcessState.ExitCode() != 1 {
		return nil, fmt.Errorf("road walk: %w: %s", err, stderr.Bytes())
	}
	return out, nil
}
