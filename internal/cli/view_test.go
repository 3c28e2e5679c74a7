package cli

import (
	"bytes"
	"strings"
	"testing"

	"road/internal/step"
	"road/internal/walk"
)

// Each step's first attack is told where it succeeds last and where it is blocked,
// in the stops' order, once for each.
func TestFirstAttackIsTold(t *testing.T) {
	var out bytes.Buffer
	v := (&command{stderr: &out}).view()
	name := road()[0].Attacks[0].Name
	v.event(walk.Begun{App: "demo", Stops: []walk.Heading{{Number: 1, Title: "As it came"}, {Number: 2}, {Number: 3}}})
	cell := func(verdict step.Verdict, said string) walk.Cell { return walk.Cell{Verdict: verdict, Evidence: said} }
	for stop, c := range map[int]walk.Cell{3: cell(step.Blocked, "later"), 2: cell(step.Blocked, "E: denied\nexit status 100"), 1: cell(step.Succeeded, "Setting up ssh\non the node: /usr/bin/ssh")} {
		v.event(walk.PhaseStarted{Stop: stop, Phase: walk.Attacking})
		v.event(walk.AttackDone{Stop: stop, Side: walk.InSequence, Attack: name, Cell: c})
		v.event(walk.AttackDone{Stop: stop, Side: walk.InSequence, Attack: name, Cell: cell(step.Succeeded, "another target")})
		v.event(walk.AttackDone{Stop: stop, Side: walk.InSequence, Attack: "no-such", Cell: c})
	}
	for stop := 1; stop <= 3; stop++ {
		v.event(walk.StopDone{Stop: &walk.Stop{Number: stop, Status: walk.Done}})
	}
	v.close()
	var told []string
	for line := range strings.Lines(out.String()) {
		if _, said, ok := strings.Cut(line, " s  "); ok && strings.Contains(said, name) {
			told = append(told, strings.TrimSpace(said))
		}
	}
	want := []string{"✗ attack    " + name + ": Setting up ssh · on the node: /usr/bin/ssh", "✓ attack    " + name + ": E: denied · exit status 100"}
	if strings.Join(told, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s", out.String())
	}
}
