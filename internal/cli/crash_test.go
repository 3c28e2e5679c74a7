package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
)

// A reader that panics stands for any defect of road.
type defect struct{}

func (defect) Read([]byte) (int, error) { panic("the moon fell down") }

// A panic is road's own fault: it has the exit status of that, not the one of bad
// input, and says so.
func TestPanicIsOurFault(t *testing.T) {
	var out, stderr bytes.Buffer
	status := Run(context.Background(), []string{"road", "check", "-"}, defect{}, &out, &stderr)
	said := stderr.String()
	if status != int(HostFault) || !strings.HasPrefix(said, "road: error: a defect of road: the moon fell down\nroad: hint: your files are not to blame") || !strings.Contains(said, "crash_test.go") {
		t.Errorf("status %d:\n%s", status, said)
	}
}
