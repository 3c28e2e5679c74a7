package cli

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/edit"
)

// Every line that stands in both files is followed from one to the other.
func TestMovedFollowsLines(t *testing.T) {
	var old []string
	for i := range 40 {
		old = append(old, "line "+strings.Repeat("x", i))
	}
	now := append([]string{"new at the top"}, old[:10]...)
	now = append(now, "new one", "new two")
	now = append(now, old[12:30]...)
	now = append(now, "new three")
	now = append(now, old[30:]...)
	files := func(lines []string) edit.Files { return edit.Files{"f": []byte(strings.Join(lines, "\n") + "\n")} }
	lines := mover{}
	is := func(lines []string, text string) int {
		for i, l := range lines {
			if l == text {
				return i + 1
			}
		}
		return 0
	}
	for i, text := range now {
		want := is(old, text)
		if want == 0 {
			continue
		}
		if got := lines.moved(app.Pos{File: "f", Line: i + 1}, files(old), files(now)); got.Line != want {
			t.Errorf("%q: line %d is line %d, want %d", text, i+1, got.Line, want)
		}
		if got := lines.moved(app.Pos{File: "f", Line: want}, files(now), files(old)); got.Line != i+1 {
			t.Errorf("%q: back: line %d, want %d", text, got.Line, i+1)
		}
	}
	if got := lines.moved(app.Pos{File: "new", Line: 7}, edit.Files{}, edit.Files{"new": nil}); got.Line != 7 {
		t.Errorf("a new file: %d", got.Line)
	}
}
