package render

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestProgramIsMissing has no program beside that of the test.
func TestProgramIsMissing(t *testing.T) {
	_, err := Render(NewTree(nil, nil), Source{Dir: "."})
	var host *HostError
	if !errors.As(err, &host) || host.Hint() == "" || !strings.Contains(err.Error(), Program) || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
}

// TestProgramEnds has the program end on its first request, and the next who asks
// get another.
func TestProgramEnds(t *testing.T) {
	p := &program{path: filepath.Join(t.TempDir(), "once")}
	script := "#!/bin/sh\nread line\nif [ -e \"$0.ran\" ]; then echo '{\"fault\": \"asked again\"}'; read line; exit; fi\n" +
		"touch \"$0.ran\"\necho 'panic: out of luck' >&2\necho 'goroutine 1' >&2\nexit 2\n"
	if err := os.WriteFile(p.path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ask(Request{}); err == nil || err.Error() != "ended early: exit status 2: panic: out of luck" {
		t.Errorf("got %v", err)
	}
	if a, err := p.ask(Request{}); err != nil || a.Fault != "asked again" {
		t.Errorf("got %+v, %v", a, err)
	}
	p.in.Close()
	<-p.done
}
