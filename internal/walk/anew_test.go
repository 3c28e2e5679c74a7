package walk

import (
	"context"
	"fmt"
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
		from, at      int    // the first stop that cannot, and that which is said to be broken
		want          string // of the check, "" for none
	}{
		"on empty volumes it cannot": {manifest("web") + volume, "no directory", 3, 3, "false on empty volumes: deployment/web does not get ready: no directory; its last line: last words of deployment/web"},
		"since the stop before":      {manifest("web") + volume, "no directory", 2, 2, "false on empty volumes: deployment/web does not get ready: no directory; its last line: last words of deployment/web"},
		"on empty volumes it can":    {manifest("web") + volume, "", 0, 3, "true on empty volumes"},
		"it keeps nothing":           {manifest("web"), "never asked", 0, 3, ""},
	} {
		m := &memory{unreadyAnew: func(a *app.App, w *app.Workload) string {
			if a.Stop < c.from {
				return ""
			}
			return c.why
		}}
		r, err := Walk(context.Background(), options(t, m, map[string]string{"web.yaml": c.manifest}, labelStep("a"), labelStep("b")))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := ""
		for _, check := range r.Stops[c.at-1].Works.Checks {
			if check.Name == firstStart {
				got = map[bool]string{true: "true ", false: "false "}[check.OK] + check.Detail
			}
		}
		short := strings.Contains(strings.Join(r.Shortfalls(false), " "), fmt.Sprintf("does not work at %d.0", c.at))
		if broken := r.Broken(); (broken != 0) != short || short && broken != c.at {
			t.Errorf("%s: broken at %d, want %d", name, broken, c.at)
		}
		if got != c.want || short != strings.HasPrefix(c.want, "false") {
			t.Errorf("%s: %q, want %q; falls short: %v", name, got, c.want, r.Shortfalls(false))
		}
	}
}
