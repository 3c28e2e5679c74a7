package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"road/demo"
	"road/internal/sandbox"
	"road/internal/sandbox/oci"
	"road/internal/walk"
	"road/steps"
)

// The demo's web server, as its manifests have it.
const (
	webService = "road-to-secure-kubernetes"
	webPort    = 8080
)

const (
	patience = 10 * time.Second // for one answer
	settling = 500 * time.Millisecond
	starting = 2 * time.Minute // for a whole application
)

// serve measures what hardening costs the demo's web server: two deployments
// stand side by side, at 1.0 and at the end of the road, and one client asks them
// in turns, over one connection to each, as fast as it is answered.
func serve(ctx context.Context, e sandbox.Engine, o options) (err error) {
	scratch, err := oci.Scratch()
	if err != nil {
		return err
	}
	root := filepath.Join(scratch, "bench-demo")
	if err := demo.Extract(root); err != nil {
		return err
	}
	var users [2]*user
	for i, to := range []int{1, 0} {
		u, err := userAt(ctx, e, root, scratch, to)
		if u != nil {
			defer func() { err = errors.Join(err, u.close()) }()
		}
		if err != nil {
			return err
		}
		users[i] = u
	}
	var first, last, ratios []float64
	for i := range o.pairs {
		var rate [2]float64
		for j := range users {
			side := (i + j) % 2 // each is first in every other pair
			if rate[side], err = users[side].ask(ctx, o.run); err != nil {
				return err
			}
		}
		first, last, ratios = append(first, rate[0]), append(last, rate[1]), append(ratios, rate[1]/rate[0])
	}
	ratio(fmt.Sprintf("serve: requests a second, %d.0 against 1.0", users[1].stop), ratios, goal{least: 0.97},
		fmt.Sprintf("%.0f a second at 1.0, %.0f at %d.0, in runs of %v", median(first), median(last), users[1].stop, o.run))
	return nil
}

// A user asks one deployment of the demo.
type user struct {
	stop   int
	dep    sandbox.Deployment
	client sandbox.Client
	web    *http.Client
}

// userAt runs the demo as it is at a stop, 0 for the last, and gives its user.
func userAt(ctx context.Context, e sandbox.Engine, root, scratch string, to int) (*user, error) {
	dir, err := os.MkdirTemp(scratch, "bench-stand")
	if err != nil {
		return nil, err
	}
	s, err := walk.StandAt(ctx, walk.Options{Root: root, Name: "demo", Dir: dir, Steps: steps.All, Engine: e, To: to})
	if err != nil {
		return nil, fmt.Errorf("take the demo to its stop: %w", err)
	}
	stops := s.Report().Stops
	for _, stop := range stops {
		if stop.Status == walk.LeftOut {
			note("serve: %d.0 was left out: %s", stop.Number, stop.Reason)
		}
	}
	u := &user{stop: stops[len(stops)-1].Number}
	if u.dep, err = e.Deploy(ctx, s.App(), sandbox.DeployOptions{Name: "bench"}); err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, starting)
	defer cancel()
	if err := u.dep.Ready(ready); err != nil {
		return u, err
	}
	if u.client, err = u.dep.Client(ctx, sandbox.ClientOptions{Service: webService}); err != nil {
		return u, err
	}
	u.web = &http.Client{Transport: &http.Transport{DialContext: u.client.DialContext}, Timeout: patience}
	return u, nil
}

func (u *user) close() error {
	var errs []error
	if u.client != nil {
		u.web.CloseIdleConnections()
		errs = append(errs, u.client.Close())
	}
	return errors.Join(append(errs, u.dep.Stop(context.Background()))...)
}

// ask makes requests one after the other for d, after a moment to settle, and
// gives how many were answered in a second.
func (u *user) ask(ctx context.Context, d time.Duration) (float64, error) {
	url := "http://" + net.JoinHostPort(webService, strconv.Itoa(webPort)) + "/"
	for begun := time.Now(); time.Since(begun) < settling; {
		if err := get(ctx, u.web, url); err != nil {
			return 0, err
		}
	}
	n, begun := 0, time.Now()
	for time.Since(begun) < d {
		if err := get(ctx, u.web, url); err != nil {
			return 0, err
		}
		n++
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

// get makes one request, which has to be answered well, and reads all of the answer.
func get(ctx context.Context, web *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := web.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return nil
}
