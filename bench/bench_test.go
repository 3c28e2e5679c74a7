package main

import (
	"testing"

	"road/internal/app"
)

// The corpus is what its rows in the table say that it is.
func TestCorpus(t *testing.T) {
	dir := t.TempDir()
	if err := writeCorpus(dir, corpusFiles); err != nil {
		t.Fatal(err)
	}
	a, err := app.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.Problems) > 0 {
		t.Fatal(a.Problems[0])
	}
	files := map[string]bool{}
	for _, o := range a.Objects {
		files[o.File] = true
	}
	if len(files) != 300 || len(a.Objects) != 500 || len(a.Workloads) != 300 {
		t.Errorf("%d files, %d documents, %d workloads: want 300, 500, 300", len(files), len(a.Objects), len(a.Workloads))
	}
}

func TestGoal(t *testing.T) {
	for _, tt := range []struct {
		g              goal
		v              float64
		bound, outcome string
	}{
		{goal{most: 2}, 2, "at most 2", "met"},
		{goal{most: 2}, 2.01, "at most 2", "NOT MET"},
		{goal{least: 0.97}, 0.969, "at least 0.97", "NOT MET"},
		{goal{least: 0.97}, 0.97, "at least 0.97", "met"},
		{goal{most: 50, unit: " MiB"}, 60, "at most 50 MiB", "NOT MET"},
		{goal{}, 5, "", ""},
	} {
		if bound, outcome := tt.g.text(tt.v); bound != tt.bound || outcome != tt.outcome {
			t.Errorf("%v of %v: %q %q, want %q %q", tt.v, tt.g, bound, outcome, tt.bound, tt.outcome)
		}
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v: %v, want %v", tt.values, got, tt.want)
		}
	}
}

// A median that a third of the pairs contradict decides nothing.
func TestUnclear(t *testing.T) {
	g := goal{least: 1}
	for _, tt := range []struct {
		pairs []float64
		want  string
	}{
		{[]float64{1, 1, 1, 0.9}, "met"},
		{[]float64{1, 1, 0.9}, "unclear"},
		{[]float64{0.9, 0.9, 0.9, 2}, "NOT MET"},
		{[]float64{0.9, 0.9, 2}, "unclear"},
	} {
		if _, got := g.of(tt.pairs); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.pairs, got, tt.want)
		}
	}
}
