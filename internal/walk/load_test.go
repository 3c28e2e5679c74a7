package walk

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"road/internal/app"

	corev1 "k8s.io/api/core/v1"
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

// Every stop is measured beside as many others, whatever number can stand ready, and
// one whose answers take long beside none.
func TestTurns(t *testing.T) {
	for stops := 1; stops < 20; stops++ {
		for together := 3; together < 20; together++ {
			w := &walker{standings: make([]standing, stops), lane: &lane{app: appThatUses(loadMemory / int64(together))}}
			n, last := 0, together
			for _, row := range w.rows() {
				if len(row) > last || len(row) < min(loadTurns, stops) {
					t.Errorf("%d stops, %d together: a row of %d after one of %d", stops, together, len(row), last)
				}
				n, last = n+len(row), len(row)
			}
			if n != stops {
				t.Errorf("%d stops, %d together: %d in rows", stops, together, n)
			}
		}
	}
	server := func(takes time.Duration) *user {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(takes) }))
		t.Cleanup(s.Close)
		host, port, _ := net.SplitHostPort(s.Listener.Addr().String())
		n, _ := strconv.Atoi(port)
		return &user{&app.HTTPCheck{Service: host, Port: n}, s.Client(), func() {}}
	}
	slow := &row{users: []*user{nil, server(20 * time.Millisecond)}}
	if got := slow.turns(t.Context(), 13); got != 1 {
		t.Errorf("%d stops at a time whose answers meet", got)
	}
	quick := &row{users: []*user{server(0)}}
	if got := quick.turns(t.Context(), 1); got != 1 {
		t.Errorf("%d at a time where a row has one", got)
	}
	if quick.users[0].warm(t.Context()) < time.Millisecond { // else this machine is too busy to tell
		if got := quick.turns(t.Context(), 13); got != loadTurns {
			t.Errorf("%d at a time", got)
		}
	}
}

func appThatUses(memory int64) *app.App {
	wl := &app.Workload{Object: &app.Object{Kind: "Deployment", Name: "web"}, Replicas: 1, Pod: &corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	return &app.App{Workloads: []*app.Workload{wl}, Seen: &app.Seen{Containers: map[string]map[string]*app.SeenInside{
		wl.ID(): {"c": {Peak: &app.Peak{MemoryBytes: memory}}}}}}
}
