package limits

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/step/steptest"

	corev1 "k8s.io/api/core/v1"
)

func TestCases(t *testing.T) { steptest.Run(t, Step) }

// TestFigures has requests and limits follow from a peak by the rules that the
// explanation gives.
func TestFigures(t *testing.T) {
	for _, c := range []struct {
		peak                             app.Peak
		cpu, memory, disk                string // limits
		askedCPU, askedMemory, askedDisk string
	}{
		{app.Peak{}, "1", "256Mi", "1Gi", "50m", "16Mi", "64Mi"},
		{app.Peak{MemoryBytes: 1, MilliCPU: 1, LayerBytes: 1}, "1", "256Mi", "1Gi", "50m", "16Mi", "64Mi"},
		{app.Peak{MemoryBytes: 64 * mebi, MilliCPU: 250, LayerBytes: 256 * mebi}, "1", "256Mi", "1Gi", "250m", "64Mi", "256Mi"},
		{app.Peak{MemoryBytes: 64*mebi + 1, MilliCPU: 251, LayerBytes: 256*mebi + 1}, "1500m", "320Mi", "1280Mi", "300m", "80Mi", "320Mi"},
		{app.Peak{MemoryBytes: gibi, MilliCPU: 2000, LayerBytes: gibi}, "8", "4Gi", "4Gi", "2", "1Gi", "1Gi"},
	} {
		for r, want := range map[corev1.ResourceName][2]string{
			corev1.ResourceCPU:              {c.cpu, c.askedCPU},
			corev1.ResourceMemory:           {c.memory, c.askedMemory},
			corev1.ResourceEphemeralStorage: {c.disk, c.askedDisk},
		} {
			limit := limitFor(&app.Container{Spec: &corev1.Container{}}, r, &c.peak, choice{})
			if got := [2]string{limit, requestFor(r, &c.peak, limit)}; got != want {
				t.Errorf("%+v: %s: %v, want %v", c.peak, r, got, want)
			}
		}
	}
}

// TestWrongChoices has what road.yaml says wrongly reported with its place.
func TestWrongChoices(t *testing.T) {
	for choice, want := range map[string]string{
		"{memory: big}":          `memory "big" is not an amount`,
		"{cpu: '-1'}":            `cpu "-1" is not an amount`,
		"{ephemeralStorage: 0}":  "road.yaml",
		"{ephemeral-storage: 1}": "ephemeral-storage",
	} {
		a, err := app.LoadFiles("test", map[string][]byte{
			"pod.yaml":  []byte("apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: c, image: i}]}\n"),
			"road.yaml": []byte("apiVersion: road/v1\nsteps:\n  limits:\n    p: " + choice + "\n"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Step.Fix(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want ...%s...", choice, err, want)
		}
		Step.Check(a) // has nothing to say of it, and does not fall over it
	}
}
