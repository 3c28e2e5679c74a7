// Package sandboxtest is what tests of a real sandbox share.
package sandboxtest

import (
	"os"
	"os/exec"
	"testing"
)

// Need skips a test where this host cannot run a sandbox: only root can, and
// tools must be on PATH. Where ROAD_SANDBOX is "must", as in CI, the test fails
// instead, so that a whole suite cannot be skipped unseen.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	lack := t.Skipf
	if os.Getenv("ROAD_SANDBOX") == "must" {
		lack = t.Fatalf
	}
	if os.Geteuid() != 0 {
		lack("a sandbox needs root")
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			lack("a sandbox needs %s: %v", tool, err)
		}
	}
}
