package oci

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"
	"road/internal/sandbox/oci/pod"
	"road/internal/sandbox/oci/world"

	appsv1 "k8s.io/api/apps/v1"
)

// maxReplicas bounds the pods of one workload: three show what several are for
// (spreading, shared volumes), more only cost time.
const maxReplicas = 3

// stopGrace is how long a pod may take to end after SIGTERM, in seconds. The
// spec's own grace is for users' requests, of which there are none here.
const stopGrace = 3

// A deployment is one application that runs.
type deployment struct {
	e        *engine
	app      *app.App
	images   map[string]*image.Image
	o        sandbox.DeployOptions
	services []*service
	claims   string // directory of the volume claims
	group    string // of its endpoints, which know its Services and are held by its policies
	node     string // cgroup of all its pods
	leave    func() error
	ctx      context.Context
	cancel   context.CancelFunc
	work     sync.WaitGroup

	mu        sync.Mutex
	calls     calls
	tracer    *tracer                           // nil where system calls are not recorded
	peaks     map[string]map[string]pod.Peak    // by workload and container, of all their pods
	opens     map[[2]string]map[string]pod.Open // by workload and container, and name
	lost      map[[2]string]error               // why opens does not tell all
	members   []*member
	gone      app.Seen // what pods did that were made anew since
	starting  int      // workloads whose pods are still being created
	failed    error    // why a pod could not be created
	clients   []*network.Endpoint
	published []*network.Forwarder

	neighbours map[string]*network.Endpoint // by namespace
}

// A member is one pod with its place in the network.
type member struct {
	workload *app.Workload
	name     string // the pod's name in the cluster
	index    int    // ordinal in its workload
	labels   map[string]string
	pod      *pod.Pod
	end      *network.Endpoint
	users    *world.UserNS // of its own; nil for the host's
	scratch  string
	held     bool   // a finite workload's pod that does nothing, for attacks
	copied   string // directory of claims of its own, "" for the deployment's
}

// Deploy starts every workload. Pods of a StatefulSet that has to be started in
// order follow each other in the background; Ready waits for them too.
func (e *engine) Deploy(ctx context.Context, a *app.App, o sandbox.DeployOptions) (sandbox.Deployment, error) {
	e.mu.Lock()
	images := e.prepared[a]
	e.mu.Unlock()
	if images == nil {
		if _, err := e.Prepare(ctx, a, nil); err != nil {
			return nil, err
		}
		return e.Deploy(ctx, a, o)
	}
	d := &deployment{e: e, app: a, images: images, o: o, services: servicesOf(a), group: fmt.Sprintf("deployment-%d", e.next())}
	d.claims = filepath.Join(e.w.Disk, "claims", o.Claims)
	if o.Claims == "" {
		d.claims = filepath.Join(e.w.Disk, "claims", fmt.Sprintf("own-%d", e.next()))
	}
	if err := os.MkdirAll(d.claims, 0o711); err != nil {
		return nil, err
	}
	if o.Keep != "" {
		if err := keep(ctx, d.claims, filepath.Join(e.w.Disk, "claims", o.Keep)); err != nil {
			return nil, err
		}
	}
	var err error
	if d.node, d.leave, err = e.w.NewNode(d.group, o.Weight, d.memoryLimits()); err != nil {
		return nil, err
	}
	// The deployment outlives the call that made it; Stop ends it.
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if o.Trace {
		err = d.beginTrace(ctx)
	}
	if err := errors.Join(err, e.standIn(ctx, a), d.setPolicies(), d.addServices()); err != nil {
		return nil, errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
	}
	if err := d.startAll(ctx); err != nil {
		return nil, errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
	}
	d.work.Go(d.follow)
	return d, nil
}

// keep makes a copy of claims, in place of an earlier one.
func keep(ctx context.Context, claims, to string) error {
	if err := os.RemoveAll(to); err != nil {
		return err
	}
	return copyTree(ctx, claims, to)
}

// addServices gives every Service its address and name before any pod starts,
// because pods learn the addresses from their environment.
func (d *deployment) addServices() error {
	for _, s := range d.services {
		addr, err := d.e.net.SetService(s.namespace, s.name, s.options(d.group, nil))
		if err != nil {
			return err
		}
		s.addr = addr
	}
	return nil
}

// startAll creates the first pod of every workload side by side, then the others.
func (d *deployment) startAll(ctx context.Context) error {
	errs := make([]error, len(d.app.Workloads))
	var wg sync.WaitGroup
	for i, w := range d.app.Workloads {
		wg.Go(func() { errs[i] = d.startWorkload(ctx, w) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (d *deployment) startWorkload(ctx context.Context, w *app.Workload) error {
	n := d.pods(w)
	if n == 0 {
		return nil
	}
	if err := d.askForWorkload(ctx, w); d.refused(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%s: %w", w.ID(), err)
	}
	if !inOrder(w) {
		var wg sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			wg.Go(func() { errs[i] = d.join(ctx, w, i) })
		}
		wg.Wait()
		return errors.Join(errs...)
	}
	if err := d.join(ctx, w, 0); err != nil || n == 1 {
		return err
	}
	d.mu.Lock()
	d.starting++
	d.mu.Unlock()
	d.work.Go(func() {
		err := d.startRest(w, n)
		d.mu.Lock()
		defer d.mu.Unlock()
		d.starting--
		d.failed = errors.Join(d.failed, err)
	})
	return nil
}

// pods is how many pods of a workload are started.
func (d *deployment) pods(w *app.Workload) int {
	n := min(int(w.Replicas), maxReplicas)
	if w.Kind == "DaemonSet" || w.Finite() {
		n = 1 // there is one node; one run shows what a job does
	}
	if d.o.Attacked && w.Kind == "Deployment" {
		n = min(n, 1)
	}
	return n
}

// memoryLimits is how much memory the application may use by its own limits, in
// bytes: all its pods, and one more of an attack's.
func (d *deployment) memoryLimits() uint64 {
	var all, largest int64
	for _, w := range d.app.Workloads {
		var limit int64
		for _, c := range lasting(w.Pod) {
			limit += c.Resources.Limits.Memory().Value()
		}
		all += limit * int64(d.pods(w))
		largest = max(largest, limit)
	}
	return uint64(max(0, all+largest))
}

// inOrder says that each pod waits until the one before it is ready.
func inOrder(w *app.Workload) bool {
	s, ok := w.Typed.(*appsv1.StatefulSet)
	return ok && s.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
}

// startRest starts the pods of a StatefulSet after the first.
func (d *deployment) startRest(w *app.Workload, n int) error {
	for i := 1; i < n; i++ {
		for _, m := range d.of(w.ID()) {
			if err := m.pod.Ready(d.ctx); err != nil {
				return nil // Ready of the deployment says why
			}
		}
		if err := d.join(d.ctx, w, i); err != nil {
			return err
		}
	}
	return nil
}

// join starts a pod and makes it a member that serves.
func (d *deployment) join(ctx context.Context, w *app.Workload, index int) error {
	m, err := d.start(ctx, w, index, memberOptions{serves: !d.o.Attacked, asks: true})
	if d.refused(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.ID(), err)
	}
	d.mu.Lock()
	d.members = append(d.members, m)
	d.calls.place(m.end.IP, w.ID())
	d.mu.Unlock()
	return nil
}

// refused says whether err is the API server's word that a pod, or a workload, is
// not admitted: it is not created then, and its workload never gets ready.
func (d *deployment) refused(err error) bool {
	var n *sandbox.NotReadyError
	if !errors.As(err, &n) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.failed == nil {
		d.failed = n // the others only say the same
	}
	return true
}

// of gives the serving pods of a workload, by ordinal.
func (d *deployment) of(workload string) []*member {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []*member
	for i := range len(d.members) {
		for _, m := range d.members {
			if m.workload.ID() == workload && m.index == i {
				out = append(out, m)
			}
		}
	}
	return out
}

// Ready waits until every pod is ready and the Services lead to them. A pod that
// gave up while others were still on their way, as a program does that needs its
// database, is made anew once when they are there; in a cluster its restarts
// would have gone on.
func (d *deployment) Ready(ctx context.Context) error {
	again := map[string]bool{} // workloads whose pods were made anew
	for {
		d.mu.Lock()
		members, starting, failed := append([]*member(nil), d.members...), d.starting, d.failed
		d.mu.Unlock()
		if failed != nil {
			return failed
		}
		waited, gaveUp, err := d.allReady(ctx, members)
		switch {
		case err != nil && (gaveUp == nil || !waited || again[gaveUp.workload.ID()]):
			return err
		case err != nil:
			again[gaveUp.workload.ID()] = true
			if err := d.remake(ctx, gaveUp.workload); err != nil {
				return err
			}
			continue
		case starting == 0:
			return d.setBackends()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// allReady waits for every pod, all at once. Where one will not get ready, the
// first that gave up is given with the reason; waited says that another got ready
// after that.
func (d *deployment) allReady(ctx context.Context, members []*member) (waited bool, gaveUp *member, err error) {
	type outcome struct {
		m   *member
		err error
	}
	settled := make(chan outcome, len(members))
	// Nobody makes a pod anew any more when this is over.
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, m := range members {
		work.Go(func() { settled <- outcome{m, d.through(ctx, m)} })
	}
	var n, first *sandbox.NotReadyError
	running := map[string]bool{}
	for range members {
		o := <-settled
		id := o.m.workload.ID()
		if was, known := running[id]; o.err != nil || was || !known {
			running[id] = o.err == nil
		}
		switch {
		case o.err == nil:
			waited = waited || gaveUp != nil
		case !errors.As(o.err, &n) || ctx.Err() != nil:
			return waited, nil, o.err
		case gaveUp == nil:
			gaveUp, err, first = o.m, o.err, n
		}
	}
	if first != nil {
		maps.DeleteFunc(running, func(_ string, is bool) bool { return !is })
		first.Running = slices.Sorted(maps.Keys(running))
	}
	return waited, gaveUp, err
}

func (d *deployment) memberReady(ctx context.Context, m *member) error {
	wait := m.pod.Ready
	if m.workload.Finite() && !m.held {
		wait = m.pod.Completed
	}
	err := wait(ctx)
	var failed *pod.FailedError
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return ctx.Err()
	case errors.As(err, &failed):
		return &sandbox.NotReadyError{Workload: m.workload.ID(), Reason: failed.Reason, Logs: failed.Logs}
	}
	return err
}

// Restart makes the pods of a workload anew, all at once, and waits until they
// are ready. Claims stay.
func (d *deployment) Restart(ctx context.Context, workload string) error {
	w := d.app.Workload(workload)
	if w == nil {
		return fmt.Errorf("there is no workload %q", workload)
	}
	if err := d.remake(ctx, w); err != nil {
		return err
	}
	return d.Ready(ctx)
}

// remake ends the pods of a workload and starts new ones in their places.
func (d *deployment) remake(ctx context.Context, w *app.Workload) error {
	old := d.of(w.ID())
	d.mu.Lock()
	var kept []*member
	for _, m := range d.members {
		if m.workload != w {
			kept = append(kept, m)
		}
	}
	d.members = kept
	err := d.remember(old)
	d.mu.Unlock()
	if err := errors.Join(err, d.end(ctx, old)); err != nil {
		return err
	}
	for _, m := range old {
		if err := d.join(ctx, w, m.index); err != nil {
			return err
		}
	}
	return nil
}

// end stops pods side by side and gives their addresses back.
// When ctx ends they are not given any more time.
func (d *deployment) end(ctx context.Context, members []*member) error {
	defer context.AfterFunc(ctx, func() {
		for _, m := range members {
			go m.pod.Stop(0)
		}
	})()
	grace := int64(stopGrace)
	if d.o.Attacked {
		grace = 0 // nobody misses what it would still write
	}
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, m := range members {
		wg.Go(func() { errs[i] = m.close(grace) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// close ends the pod: grace seconds after SIGTERM it is killed.
func (m *member) close(grace int64) error {
	err := m.pod.Stop(grace)
	err = errors.Join(err, m.end.Close(), m.closeUsers(), os.RemoveAll(m.scratch))
	if m.copied != "" {
		err = errors.Join(err, os.RemoveAll(m.copied))
	}
	return err
}

// Stop ends the application and everything around it; when ctx ends, without
// waiting for anyone.
func (d *deployment) Stop(ctx context.Context) error {
	d.cancel()
	d.work.Wait()
	d.mu.Lock()
	members, clients, published := d.members, d.clients, d.published
	d.members, d.clients, d.published = nil, nil, nil
	clients = slices.AppendSeq(clients, maps.Values(d.neighbours))
	d.neighbours = nil
	d.mu.Unlock()
	var errs []error
	d.traceRuntime(ctx, members)
	for _, f := range published {
		errs = append(errs, f.Close())
	}
	errs = append(errs, d.end(ctx, members))
	if d.tracer != nil {
		d.tracer.end(ctx)
	}
	for _, c := range clients {
		errs = append(errs, c.Close())
	}
	errs = append(errs, d.e.net.RemoveServices(d.group), d.e.net.SetPolicies(d.group, network.Policies{}), d.leave())
	if d.o.Claims == "" || d.o.Attacked {
		errs = append(errs, os.RemoveAll(d.claims))
	}
	d.e.mu.Lock()
	delete(d.e.prepared, d.app)
	d.e.mu.Unlock()
	return errors.Join(errs...)
}

// Logs gives the last lines of every container of a workload's pods.
func (d *deployment) Logs(workload string, lines int) string {
	var out string
	for _, m := range d.of(workload) {
		out += m.pod.Logs("", lines)
	}
	return out
}
