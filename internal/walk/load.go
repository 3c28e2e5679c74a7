package walk

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"road/internal/app"
)

// The load that figures are measured under. Half a second of it is the shortest
// time whose 99th percentile is not the slowest answer alone: the second slowest of
// a hundred. What a stop costs in requests, bench/ measures for longer.
const (
	loadRate     = 200 // requests a second
	loadTime     = 500 * time.Millisecond
	loadPatience = 2 * time.Second
	warmUp       = 20 // requests before
	loadTurns    = 2  // stops that may take turns
)

// A standing is the application as it was at a stop, for the figures alone: to run it
// writes down what its images hold.
type standing struct {
	stop *Stop
	app  *app.App
}

// Stops that are to be measured stand ready side by side, since to start and to
// end takes longer than the load. Each has the memory of the whole application.
const (
	loadMemory = 1 << 30 // bytes that they may use together, an eighth of what the engine has at most
	loadSide   = 5       // stops, where nobody knows what one uses
)

// A row is a few stops that stand ready to be measured.
type row struct {
	some  []standing
	lanes []*lane
	users []*user
	errs  []error // why one does not run now, though it did on the road
}

// loadAll measures the application at every stop under load, after all attacks are
// over. The first few may stand ready by then.
func (w *walker) loadAll(ctx context.Context) error {
	var ending sync.WaitGroup
	defer ending.Wait()
	rows, turns := w.rows(), 0
	for _, some := range rows {
		if w.ready == nil {
			w.ready = w.standReady(ctx, some)
		}
		if w.ready == nil {
			return nil
		}
		ending.Wait()
		if turns == 0 {
			turns = w.ready.turns(ctx, len(rows[len(rows)-1]))
		}
		err := w.loadSome(ctx, turns)
		w.dismiss(ctx, &ending) // while the next ones start
		if err != nil {
			return err
		}
	}
	return nil
}

// rows gives the stops in groups that can stand ready together, whose sizes differ
// by one at most, the smallest last.
func (w *walker) rows() [][]standing {
	together := loadTogether(w.app, w.report.Engine.Memory)
	var rows [][]standing
	for left := w.standings; len(left) > 0; {
		n := (len(left) + together - 1) / together // rows that they need
		size := (len(left) + n - 1) / n
		rows = append(rows, left[:size])
		left = left[size:]
	}
	return rows
}

// standReady starts the application as it was at some stops, side by side; nil
// where nothing is known that can be asked of it.
func (w *walker) standReady(ctx context.Context, some []standing) *row {
	if len(some) == 0 {
		return nil
	}
	if _, ok := w.loadCheck(some[0].app); !ok {
		return nil
	}
	n := len(some)
	r := &row{some, make([]*lane, n), make([]*user, n), make([]error, n)}
	begun := time.Now()
	var group sync.WaitGroup
	for i, s := range some {
		r.lanes[i] = &lane{dir: s.app.Root, app: s.app, only: true}
		group.Go(func() {
			if r.errs[i] = w.run(ctx, r.lanes[i], s.app, &Stop{Number: s.stop.Number, Silent: true}); r.errs[i] == nil {
				r.users[i], r.errs[i] = w.user(ctx, r.lanes[i])
			}
		})
	}
	group.Wait()
	for _, s := range some {
		w.spent(s.stop, &s.stop.Parts.Figures, time.Since(begun)/time.Duration(n))
	}
	return r
}

// dismiss ends what stands ready.
func (w *walker) dismiss(ctx context.Context, ending *sync.WaitGroup) {
	if w.ready == nil {
		return
	}
	for _, u := range w.ready.users {
		u.close()
	}
	for _, l := range w.ready.lanes {
		ending.Go(func() { w.end(ctx, l) })
	}
	w.ready = nil
}

// dismissAll does so where the walk ended before it was measured.
func (w *walker) dismissAll(ctx context.Context) {
	var ending sync.WaitGroup
	defer ending.Wait()
	w.dismiss(ctx, &ending)
}

// loadTogether gives how many stops of an application stand ready at once.
func loadTogether(a *app.App, memory int64) int {
	each := memoryOf(a)
	if each == 0 {
		return loadSide
	}
	most := int64(loadMemory)
	if memory > 0 {
		most = min(most, memory/8)
	}
	return int(max(1, most/each))
}

// memoryOf gives the memory that an application was seen to use at most, in bytes; 0
// where nobody knows what one of its containers uses.
func memoryOf(a *app.App) (bytes int64) {
	for _, wl := range a.Workloads {
		for c := range wl.Containers() {
			seen := a.Seen.Containers[wl.ID()][c.Spec.Name]
			if seen == nil || seen.Peak == nil || seen.Peak.MemoryBytes <= 0 {
				return 0
			}
			bytes += seen.Peak.MemoryBytes * int64(max(wl.Replicas, 1))
		}
	}
	return bytes
}

// turns gives how many stops are measured at a time, a request to each between those
// to the others: one where answers take so long that they would meet, or where a row
// is too short for the same company for all.
func (r *row) turns(ctx context.Context, shortest int) int {
	for _, u := range r.users {
		if u == nil {
			continue
		}
		return turnsFor(u.warm(ctx), shortest)
	}
	return 1
}

func turnsFor(answer time.Duration, shortest int) int {
	if answer > time.Second/loadRate/loadTurns {
		return 1
	}
	return min(loadTurns, shortest)
}

// loadSome measures the stops that stand ready, so many at a time, while nothing
// else goes on. Where fewer are left, those before them keep them company once more.
// A stop that does not run has no figures.
func (w *walker) loadSome(ctx context.Context, turns int) error {
	r := w.ready
	for i := 0; i < len(r.some) && ctx.Err() == nil; i += turns {
		from := min(i, len(r.some)-turns)
		var group sync.WaitGroup
		for j := range turns {
			group.Go(func() { r.users[from+j].warm(ctx) })
		}
		group.Wait()
		begin := time.Now()
		for j := range turns {
			n, err := from+j, r.errs[from+j]
			stop := r.some[n].stop
			if n < i {
				stop = &Stop{Number: stop.Number, Silent: true} // it is measured already
			}
			group.Go(func() {
				done := w.phase(stop, Measuring, &stop.Parts.Figures, strconv.Itoa(loadRate)+" requests a second")
				r.users[n].offer(ctx, stop, begin.Add(time.Duration(j)*time.Second/loadRate/time.Duration(turns)))
				done(err == nil, detailOf(err, ""))
			})
		}
		group.Wait()
	}
	return ctx.Err()
}

// loadCheck gives the request that is made: that of the first check which asks the
// front by HTTP. Without one nothing is known that may be asked over and over.
func (w *walker) loadCheck(a *app.App) (app.Check, bool) {
	checks := a.Config.Checks
	if len(checks) == 0 {
		checks = inferred(a)
	}
	for _, c := range checks {
		if c.HTTP != nil && c.Restart == "" && slices.Contains(behind(a, c.HTTP.Service), w.front(a)) {
			return c, true
		}
	}
	return app.Check{}, false
}

// A user of the application makes one request over and over. nil makes none.
type user struct {
	asks *app.HTTPCheck
	web  *http.Client
	end  func()
}

// user gives one whose first request has been answered.
func (w *walker) user(ctx context.Context, l *lane) (*user, error) {
	check, _ := w.loadCheck(l.app)
	c := &checker{app: l.app, dep: l.serving, mask: w.mask}
	client, err := l.serving.Client(ctx, c.from(check, check.HTTP.Service))
	if err != nil {
		return nil, err
	}
	t := &http.Transport{DialContext: client.DialContext, MaxIdleConnsPerHost: loadRate}
	u := &user{check.HTTP, &http.Client{Transport: t, Timeout: loadPatience}, func() {
		t.CloseIdleConnections()
		client.Close()
	}}
	if err := u.first(ctx, time.Now().Add(w.settle())); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// first makes a request until one is answered, or an end: a server without a
// readiness probe counts as ready before it listens.
func (u *user) first(ctx context.Context, end time.Time) error {
	for {
		err := get(ctx, u.web, u.asks)
		if err == nil || ctx.Err() != nil || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (u *user) close() {
	if u != nil {
		u.end()
	}
}

// warm makes the requests that do not count, and gives the median time to an answer.
func (u *user) warm(ctx context.Context) time.Duration {
	if u == nil {
		return 0
	}
	took := make([]time.Duration, warmUp)
	for i := range took {
		begin := time.Now()
		if get(ctx, u.web, u.asks) != nil {
			return loadPatience // those that count will show it
		}
		took[i] = time.Since(begin)
	}
	slices.Sort(took)
	return took[warmUp/2]
}

// offer makes requests from a moment on at their times, whether those before were
// answered or not.
func (u *user) offer(ctx context.Context, stop *Stop, begin time.Time) {
	if u == nil {
		return
	}
	n := int(loadRate * loadTime / time.Second)
	took, good := make([]time.Duration, n), make([]bool, n)
	var wg sync.WaitGroup
	for i := range n {
		due := begin.Add(time.Duration(i) * time.Second / loadRate)
		select {
		case <-time.After(time.Until(due)):
		case <-ctx.Done():
			wg.Wait()
			return // what was cut short is no figure
		}
		wg.Go(func() {
			err := get(ctx, u.web, u.asks)
			took[i], good[i] = time.Since(due), err == nil
			if err != nil {
				took[i] = loadPatience
			}
		})
	}
	wg.Wait()
	over := time.Since(begin)
	answered := 0
	for _, ok := range good {
		if ok {
			answered++
		}
	}
	f := &stop.Figures
	f.RequestsPerSecond = float64(answered) / max(loadTime, over).Seconds()
	f.P99Millis = float64(percentile(took).Microseconds()) / 1000
	f.Load = &Load{PerSecond: loadRate, Seconds: loadTime.Seconds()}
}

// percentile gives the time within which 99 of 100 were answered.
func percentile(took []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(took))
	return sorted[max((len(sorted)*99+99)/100-1, 0)]
}

// get makes one request and reads the whole answer.
func get(ctx context.Context, web *http.Client, h *app.HTTPCheck) error {
	path := h.Path
	if path == "" {
		path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(h.Service, strconv.Itoa(h.Port))+path, nil)
	if err != nil {
		return err
	}
	resp, err := web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20)); err != nil {
		return err
	}
	if want := max(h.Status, http.StatusOK); h.Status != anyStatus && resp.StatusCode != want {
		return fmt.Errorf("%s answers %s", req.URL, resp.Status)
	}
	return nil
}
