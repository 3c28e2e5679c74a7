package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"road/internal/step"
	"road/internal/walk"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"
)

// terminal gives a terminal of so many columns, and what is shown on it up to an
// end that only the caller knows. It is read all the time: a full one blocks.
func terminal(t *testing.T, columns uint16) (screen *os.File, until func(end string) string) {
	t.Helper()
	ours, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { ours.Close() })
	if err := unix.IoctlSetPointerInt(int(ours.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(ours.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	screen, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	parts := make(chan []byte, 1<<16)
	go func() {
		defer close(parts)
		for {
			part := make([]byte, 4096)
			n, err := ours.Read(part)
			if err != nil {
				return
			}
			parts <- part[:n]
		}
	}()
	return screen, func(end string) string {
		var seen []byte
		for part := range parts {
			if seen = append(seen, part...); bytes.HasSuffix(seen, []byte(end)) {
				break
			}
		}
		return ansi.Strip(string(seen))
	}
}

// The outcomes of a phase's attacks stand in one line: a sign for each where the
// terminal is wide enough, else the detail alone, which counts them.
func TestStripFits(t *testing.T) {
	for columns, want := range map[uint16]string{
		80:  "  • attacks   31 succeeded, 12 blocked, 2 unproven  7.5 s",
		140: "  • attacks   " + strings.Repeat("✗", 31) + strings.Repeat("✓", 12) + "??  31 succeeded, 12 blocked, 2 unproven  7.5 s",
	} {
		screen, until := terminal(t, columns)
		v := (&command{stderr: screen}).view()
		v.event(walk.Begun{App: "demo", Stops: []walk.Heading{{Number: 1, Title: "As it came"}}})
		v.event(walk.PhaseStarted{Stop: 1, Phase: walk.Attacking})
		for i := range 45 {
			verdict := step.Succeeded
			if i >= 31 {
				verdict = step.Blocked
			}
			if i >= 43 {
				verdict = ""
			}
			v.event(walk.AttackDone{Stop: 1, Side: walk.InSequence, Attack: "a", Cell: walk.Cell{Verdict: verdict}})
		}
		v.event(walk.PhaseDone{Stop: 1, Phase: walk.Attacking, Detail: "31 succeeded, 12 blocked, 2 unproven", OK: true, Seconds: 7.5})
		v.close()
		fmt.Fprint(screen, "END")
		if got := until("END"); !strings.Contains(got, want+"\r\n") {
			t.Errorf("at %d columns:\n%s", columns, got)
		}
	}
}
