package app

import "testing"

// TestRaise has a peak grow by more than a quarter or not at all, so that runs
// which differ a little say the same.
func TestRaise(t *testing.T) {
	p := &Peak{}
	for _, c := range []struct{ q, want Peak }{
		{Peak{100, 0, 8}, Peak{100, 0, 8}},
		{Peak{125, 1, 7}, Peak{100, 1, 8}},
		{Peak{126, 1, 11}, Peak{126, 1, 11}},
		{Peak{}, Peak{126, 1, 11}},
	} {
		if p.Raise(c.q); *p != c.want {
			t.Errorf("after %+v: %+v, want %+v", c.q, *p, c.want)
		}
	}
}
