package walk

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var took []time.Duration
	for i := range 200 {
		took = append(took, time.Duration(200-i)*time.Millisecond)
	}
	if got := percentile(took); got != 198*time.Millisecond {
		t.Errorf("of 1 to 200 ms it is %s, want the third slowest", got)
	}
	if got := percentile(took[:1]); got != 200*time.Millisecond {
		t.Errorf("of one it is %s", got)
	}
}

const front = `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80}]
`

// Every stop that was made is measured, by requests that go where users go.
func TestLoad(t *testing.T) {
	asked := make(chan struct{}, 10000)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} }))
	defer server.Close()
	m := &memory{dial: func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}}
	r := walked(t, options(t, m, map[string]string{"web.yaml": manifest("web"), "service.yaml": front}, labelStep("a")))
	for _, s := range r.Stops {
		if f := s.Figures; f.RequestsPerSecond < 1 || f.RequestsPerSecond > loadRate || f.P99Millis <= 0 || f.Load == nil {
			t.Errorf("%d.0: %+v", s.Number, f)
		}
	}
	if n := len(asked); n < 2*(int(loadRate*loadTime.Seconds())+warmUp) {
		t.Errorf("%d requests for two stops", n)
	}
}
