package image

import (
	"os"
	"testing"
)

// TestMain lets the test binary be the builder too.
func TestMain(m *testing.M) {
	Main()
	os.Exit(m.Run())
}
