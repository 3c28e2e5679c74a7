package oci

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox/oci/audit"
	"road/internal/sandbox/oci/filter"
	"road/internal/sandbox/oci/pod"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// seccompDirs are where a workload's profiles are looked for: what stands in the
// folder of its manifest, or at the top of PATH, is what the node has below
// /var/lib/kubelet/seccomp.
func seccompDirs(a *app.App, w *app.Workload) []string {
	if a.Root == "" {
		return nil
	}
	return []string{filepath.Join(a.Root, filepath.FromSlash(path.Dir(w.File))), a.Root}
}

// A baseline is what the probe itself calls to run at all: a profile that was
// learned from another program may lack some of it, and a probe that cannot start
// proves nothing. It is measured once, in the first container that needs it.
type baseline struct {
	mu    sync.Mutex
	names []string
}

// start starts the agent in the foothold's container: under exactly the app's
// settings, but for a profile of the node's, to which the probe's own calls are
// added.
func (f *foothold) start(ctx context.Context) (*pod.Agent, error) {
	own, whole, err := f.p.pod.LocalhostFilter(f.container)
	if err != nil {
		return nil, err
	}
	if own == nil {
		return f.p.pod.Agent(ctx, f.container)
	}
	names, err := f.d.e.baseline.measure(ctx, f.d.e, f.p.pod, f.container, whole)
	if err != nil {
		return nil, fmt.Errorf("what the probe itself calls is not known: %w", err)
	}
	joined, more := filter.Join(own, whole, names)
	f.under = "the probe runs under the application's own profile"
	if len(more) > 0 {
		f.under += fmt.Sprintf(" and %d calls that it makes to run at all: %s", len(more), strings.Join(more, " "))
	}
	return f.p.pod.AgentUnder(ctx, f.container, joined, nil)
}

func (f *foothold) runsUnder() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.under
}

// measure gives what the probe calls from its start to its end when it does
// nothing, recorded in a container under whole.
func (b *baseline) measure(ctx context.Context, e *engine, p *pod.Pod, container string, whole *specs.LinuxSeccomp) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.names != nil {
		return b.names, nil
	}
	log, err := e.beginLog(ctx)
	if err != nil {
		return nil, err
	}
	err = idle(ctx, log, p, container, filter.Logging(whole))
	calls, lost := log.End(ctx)
	if err != nil {
		return nil, err
	}
	if lost != nil {
		return nil, lost
	}
	b.names, err = audit.Names(calls[probeName])
	return b.names, err
}

// probeName names the probe's calls in a log.
const probeName = "probe"

// idle runs the agent for as long as it takes to do nothing.
func idle(ctx context.Context, log *audit.Log, p *pod.Pod, container string, under *specs.LinuxSeccomp) error {
	stream, err := p.AgentUnder(ctx, container, under, func(session uint32) { log.Own(session, probeName) })
	if err != nil {
		return err
	}
	c, err := probe.NewClient(stream)
	if err != nil {
		return err
	}
	err = c.Do(ctx, probe.Idle, probe.IdleArgs{}, nil)
	if cerr := c.Close(); err == nil {
		err = cerr
	}
	return err
}
