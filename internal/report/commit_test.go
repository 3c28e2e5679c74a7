package report

import (
	"strings"
	"testing"

	"road/internal/walk"

	"github.com/charmbracelet/x/ansi"
)

func TestCommitMessage(t *testing.T) {
	var all strings.Builder
	for _, s := range fixture(t).Stops {
		if s.Status != walk.Done || s.Step == "" {
			continue
		}
		m := CommitMessage(s)
		subject, rest, _ := strings.Cut(m, "\n")
		if len(subject) > 72 || !strings.HasPrefix(subject, "road: ") || !strings.HasPrefix(rest, "\n") {
			t.Errorf("stop %d: subject %q", s.Number, subject)
		}
		for _, l := range strings.Split(m, "\n") {
			if ansi.StringWidth(l) > 140 {
				t.Errorf("stop %d: a line of %d columns: %q", s.Number, ansi.StringWidth(l), l)
			}
		}
		all.WriteString(m + "----\n")
	}
	if all.Len() == 0 {
		t.Fatal("the fixture has no done stop")
	}
	golden(t, "commit.golden", []byte(all.String()))
}

func TestCommitSubjectIsShort(t *testing.T) {
	s := &walk.Stop{Step: "a-step-with-a-long-name", Title: strings.Repeat("Say a lot ", 8)}
	if got := CommitSubject(s); ansi.StringWidth(got) > 72 {
		t.Errorf("%d columns: %s", ansi.StringWidth(got), got)
	}
	if got := CommitSubject(&walk.Stop{Step: "limits", Title: "CPU and memory limits"}); got != "road: CPU and memory limits (limits)" {
		t.Error(got)
	}
}
