package report

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"road/internal/step"
	"road/internal/walk"

	"github.com/charmbracelet/x/ansi"
)

// On a narrow terminal the matrix comes in blocks of stops, each with every attack,
// and no line is wider than the terminal.
func TestNarrowMatrix(t *testing.T) {
	m := walk.Matrix{}
	r := &walk.Report{}
	for n := 1; n <= 13; n++ {
		m.Stops = append(m.Stops, n)
		r.Stops = append(r.Stops, &walk.Stop{Number: n, Figures: walk.Figures{ImageBytes: 8e8, Syscalls: 385}})
	}
	for _, name := range []string{"list-services-from-env", "vsock-and-alg-sockets"} {
		row := walk.Row{Attack: name, Step: "seccomp"}
		for range m.Stops {
			row.Cells = append(row.Cells, step.Blocked)
		}
		m.Rows = append(m.Rows, row)
	}
	r.Matrix = m
	for width, blocks := range map[int]int{100: 1, 80: 2, 72: 2} {
		var out bytes.Buffer
		b := bufio.NewWriter(&out)
		tx := &text{painter: newPainter(&out), w: b, report: r}
		tx.width = width
		tx.cells()
		b.Flush()
		for line := range strings.Lines(out.String()) {
			if w := ansi.StringWidth(strings.TrimRight(line, "\n")); w > width {
				t.Errorf("at %d columns a line has %d: %q", width, w, line)
			}
		}
		if n := strings.Count(out.String(), "list-services-from-env"); n != blocks {
			t.Errorf("at %d columns %d blocks, want %d:\n%s", width, n, blocks, &out)
		}
		for n := range 13 {
			if head := fmt.Sprintf(" %d.0 ", n+1); !strings.Contains(out.String()+" ", head) && !strings.Contains(out.String(), fmt.Sprintf(" %d.0\n", n+1)) {
				t.Errorf("at %d columns there is no stop %d", width, n+1)
			}
		}
	}
}
