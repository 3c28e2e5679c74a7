package walk

import (
	"context"
	"strings"
	"testing"

	"road/internal/app"
)

// On the road every stop finds the data of the one before; that the application
// would not work where there is none yet is told all the same.
func TestStartsAnew(t *testing.T) {
	const volume = "      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]\n"
	for name, c := range map[string]struct {
		manifest, why string
		want          string // of the check, "" for none
	}{
		"on empty volumes it cannot": {manifest("web") + volume, "no directory", "false on empty volumes: deployment/web does not get ready: no directory; its last line: last words of deployment/web"},
		"on empty volumes it can":    {manifest("web") + volume, "", "true on empty volumes"},
		"it keeps nothing":           {manifest("web"), "never asked", ""},
	} {
		m := &memory{unreadyAnew: func(a *app.App, w *app.Workload) string { return c.why }}
		r, err := Walk(context.Background(), options(t, m, map[string]string{"web.yaml": c.manifest}, labelStep("a"), labelStep("b")))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		last := r.Stops[len(r.Stops)-1]
		got := ""
		for _, check := range last.Works.Checks {
			if check.Name == firstStart {
				got = map[bool]string{true: "true ", false: "false "}[check.OK] + check.Detail
			}
		}
		short := strings.Contains(strings.Join(r.Shortfalls(false), " "), "does not work at 3.0")
		if got != c.want || short != strings.HasPrefix(c.want, "false") {
			t.Errorf("%s: %q, want %q; falls short: %v", name, got, c.want, r.Shortfalls(false))
		}
	}
}
