package walk

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"sync/atomic"
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

// A server without a readiness probe may not listen yet when its pod is ready: who
// measures it asks again. What was told of a stop does not change when it is measured.
func TestLoadOfLateServers(t *testing.T) {
	var early atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if !r.Close && early.Add(1) < 5 { // the checks close theirs
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	m := &memory{dial: func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}}
	o := options(t, m, map[string]string{"web.yaml": manifest("web"), "service.yaml": front}, labelStep("a"))
	o.Settle = time.Minute
	var told []*Stop
	o.Events = func(e Event) {
		if e, ok := e.(StopDone); ok {
			told = append(told, e.Stop)
		}
	}
	for _, s := range walked(t, o).Stops {
		if s.Figures.Load == nil {
			t.Errorf("%d.0 was not measured", s.Number)
		}
	}
	if early.Load() < 5 || len(told) != 2 {
		t.Errorf("%d requests, %d stops were told of", early.Load(), len(told))
	}
	for _, s := range told {
		if s.Figures.Load != nil {
			t.Errorf("%d.0 changed after it was told of", s.Number)
		}
	}
}

// An application that needs much memory is run fewer times at once: what its copies
// use, and a bomb that takes half of all, have to fit.
func TestTogether(t *testing.T) {
	n := runtime.NumCPU()
	for _, c := range []struct {
		each, memory int64
		attacked     int
		ready        int
	}{
		{10 << 20, 0, max(n+2, min(4*n, 102)), 102},
		{10 << 20, 1 << 40, max(n+2, min(4*n, 102)), 102},
		{0, 1 << 30, n + 2, loadSide},
		{1 << 30, 1 << 40, n + 2, 1},
		{1 << 30, 4 << 30, 1, 1},
		{1 << 30, 1 << 30, 1, 1},
		{256 << 20, 2 << 30, 2, 1},
		{64 << 20, 1 << 30, min(4, 4*n), 2},
	} {
		a := appThatUses(c.each)
		if attacked, ready := attackTogether(a, c.memory), loadTogether(a, c.memory); attacked != c.attacked || ready != c.ready {
			t.Errorf("%d bytes each of %d: %d attacked and %d ready at once, want %d and %d", c.each, c.memory, attacked, ready, c.attacked, c.ready)
		}
	}
}

// What is walked goes before what is attacked beside it, but for the one attack that
// has no time to wait.
func TestWeight(t *testing.T) {
	w := &walker{}
	road, first, later := w.weight(&lane{}, &Stop{Number: 5}), w.weight(&lane{only: true}, &Stop{Number: 1}), w.weight(&lane{only: true}, &Stop{Number: 5})
	if first <= road || road <= later {
		t.Errorf("attacked at 1.0: %d, walked: %d, attacked later: %d", first, road, later)
	}
}

// Every stop is measured beside as many others, whatever number can stand ready, and
// one whose answers take long beside none.
func TestTurns(t *testing.T) {
	for stops := 1; stops < 20; stops++ {
		for together := 3; together < 20; together++ {
			w := &walker{standings: make([]standing, stops), lane: &lane{app: appThatUses(loadMemory / int64(together))}, report: &Report{}}
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
	for _, c := range []struct {
		answer         time.Duration
		shortest, want int
	}{{0, 13, loadTurns}, {time.Millisecond, 1, 1}, {2500 * time.Microsecond, 2, loadTurns}, {2501 * time.Microsecond, 13, 1}} {
		if got := turnsFor(c.answer, c.shortest); got != c.want {
			t.Errorf("%+v: %d at a time", c, got)
		}
	}
}

func appThatUses(memory int64) *app.App {
	wl := &app.Workload{Object: &app.Object{Kind: "Deployment", Name: "web"}, Replicas: 1, Pod: &corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}}}
	return &app.App{Workloads: []*app.Workload{wl}, Seen: &app.Seen{Containers: map[string]map[string]*app.SeenInside{
		wl.ID(): {"c": {Peak: &app.Peak{MemoryBytes: memory}}}}}}
}
