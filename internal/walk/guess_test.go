package walk

import (
	"context"
	"net"
	"strings"
	"testing"
)

const service = `apiVersion: v1
kind: Service
metadata:
  name: web
spec:
  selector:
    app: web
  ports:
  - port: 8080
`

// A port that HTTP servers commonly have is no proof of HTTP: an application that
// speaks something else there works all the same, and still has to take
// connections at later stops.
func TestPortThatDoesNotSpeakHTTP(t *testing.T) {
	deaf := false
	dial := func(context.Context, string) (net.Conn, error) {
		if deaf {
			return nil, &net.OpError{Op: "dial", Err: &net.AddrError{Err: "nobody listens"}}
		}
		here, there := net.Pipe()
		go func() {
			there.Read(make([]byte, 1))
			there.Write([]byte("-ERR no such command\r\n"))
			there.Close()
		}()
		return here, nil
	}
	m := &memory{dial: dial}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web") + "---\n" + service}, labelStep("a")))
	for _, s := range r.Stops {
		if s.Works.Verdict != "works" || len(s.Works.Checks) != 2 || strings.Contains(s.Works.Checks[1].Detail, "200") {
			t.Errorf("stop %d: %+v", s.Number, s.Works)
		}
	}
	if len(r.Notes) == 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "web:8080 answers: it does not speak HTTP") {
		t.Errorf("notes: %q", r.Notes)
	}

	m = &memory{dial: dial}
	o := options(t, m, map[string]string{"web.yaml": manifest("web") + "---\n" + service}, labelStep("a"))
	o.Keep = func(Kept) { t.Error("the step was kept") }
	o.Events = func(e Event) {
		if s, ok := e.(StopStarted); ok && s.Number == 2 {
			deaf = true
		}
		if n, ok := e.(Note); ok && strings.HasPrefix(n.Text, "a: check ") {
			deaf = false // as it was before, it works
		}
	}
	if r := walked(t, o); r.Stops[1].Status != LeftOut {
		t.Errorf("a step that makes it deaf is %s", r.Stops[1].Status)
	}
}
