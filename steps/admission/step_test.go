package admission

import (
	"testing"

	"road/internal/step/steptest"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }
