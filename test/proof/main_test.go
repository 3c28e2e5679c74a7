// Package proof proves the road as a whole in a real sandbox: that each
// protection is what stops its attacks. It is tests only.
package proof

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"road/internal/sandbox/oci"
)

// programsVariable tells the tests inside the world where the engine's other
// programs were built.
const programsVariable = "ROAD_TEST_PROGRAMS"

// TestMain runs the tests inside a world, where the engine lives; without root
// they run outside, and skip or fail by themselves.
func TestMain(m *testing.M) {
	oci.Main()
	if os.Geteuid() != 0 || oci.Inside() {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "road-programs")
	if err == nil {
		var out []byte
		if out, err = exec.Command("go", "build", "-o", dir+"/", "road/cmd/road-probe", "road/cmd/road-admission").CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		os.Setenv(programsVariable, dir)
	}
	status := 1
	if err == nil {
		status, err = oci.Enter(oci.EnterOptions{})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.RemoveAll(dir)
	os.Exit(status)
}
