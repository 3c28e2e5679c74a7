package oci

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/audit"
	"road/internal/sandbox/oci/filter"
	"road/internal/sandbox/oci/pod"
	"road/internal/sandbox/oci/world"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// inHost calls f in the host's network namespace, where the audit channel is.
func (e *engine) inHost(f func() error) error { return world.InNS(e.w.HostNet, f) }

// beginLog begins to record system calls, where that may be.
func (e *engine) beginLog(ctx context.Context) (*audit.Log, error) {
	if why := e.w.AuditFault; why != "" {
		return nil, errors.New(why)
	}
	return audit.Begin(ctx, e.inHost)
}

// ProveAudit says why system calls cannot be recorded on this host, "" where they
// can. It is for a process outside of a world.
func ProveAudit(ctx context.Context) string {
	return audit.Prove(ctx, audit.Fault(), func(f func() error) error { return f() })
}

// A tracer collects the system calls of a deployment.
type tracer struct {
	log     *audit.Log
	filters map[string]*specs.LinuxSeccomp // by traced name; the deployment's lock guards it
	calls   map[string][]audit.Call        // once the log has ended
	fault   error
}

// tracedName names a container over all pods of its workload.
func tracedName(workload, container string) string { return workload + " " + container }

// beginTrace begins to record the deployment's system calls; its Stop ends that.
func (d *deployment) beginTrace(ctx context.Context) error {
	if why := audit.Prove(ctx, d.e.w.AuditFault, d.e.inHost); why != "" {
		return &sandbox.LackError{Power: sandbox.Audit, Reason: why}
	}
	log, err := d.e.beginLog(ctx)
	if err != nil {
		return fmt.Errorf("record system calls: %w", err)
	}
	d.tracer = &tracer{log: log, filters: map[string]*specs.LinuxSeccomp{}}
	return nil
}

// trace gives a pod of a workload what has its calls recorded; nil where the
// deployment is not traced.
func (d *deployment) trace(workload string) *pod.Trace {
	t := d.tracer
	if t == nil {
		return nil
	}
	return &pod.Trace{
		Filter: func(container string, f *specs.LinuxSeccomp) {
			d.mu.Lock()
			defer d.mu.Unlock()
			t.filters[tracedName(workload, container)] = f
		},
		Session: func(container string, session uint32) { t.log.Own(session, tracedName(workload, container)) },
	}
}

// runtimeName names the runtime's calls in a log.
const runtimeName = "runtime"

// settleRecords is how long records of the probe's start may still be on their way
// when it has said its first word.
const settleRecords = 50 * time.Millisecond

// traceRuntime records what the runtime may call in every container at any time.
// It is a Go program on its way into the container under the container's filter:
// whether it starts a thread there, or collects garbage, is chance, and a filter
// without that would keep the container from starting now and then. The probe is
// a Go program too, and does all of it when it is asked to.
func (d *deployment) traceRuntime(ctx context.Context, members []*member) {
	t := d.tracer
	if t == nil || t.log == nil {
		return
	}
	t.fault = errors.New("no container ran to the end, in which the runtime's own calls could be recorded")
	for _, m := range members {
		for c := range m.workload.Containers() {
			f, err := m.pod.Filter(c.Spec.Name)
			if err != nil || f == nil {
				continue
			}
			if t.fault = t.idle(ctx, m.pod, c.Spec.Name, f); t.fault == nil {
				return
			}
		}
	}
}

// idle has the probe do what every Go program does.
func (t *tracer) idle(ctx context.Context, p *pod.Pod, container string, f *specs.LinuxSeccomp) error {
	var session uint32
	stream, err := p.AgentUnder(ctx, container, f, func(s uint32) { session = s })
	if err != nil {
		return err
	}
	c, err := probe.NewClient(stream)
	if err != nil {
		return err
	}
	time.Sleep(settleRecords)
	t.log.Own(session, runtimeName)
	return errors.Join(c.Do(ctx, probe.Idle, probe.IdleArgs{Runtime: true}, nil), c.Close())
}

// end ends the log, once nothing of the deployment runs any more.
func (t *tracer) end(ctx context.Context) {
	if t.log != nil {
		calls, err := t.log.End(ctx)
		t.calls, t.fault, t.log = calls, errors.Join(t.fault, err), nil
	}
}

// SysCalls adds what every container called.
func (d *deployment) SysCalls(s *app.Seen) error {
	t := d.tracer
	if t == nil || t.log != nil {
		return errors.New("the deployment was not traced, or was not stopped")
	}
	if t.fault != nil {
		return t.fault
	}
	for _, w := range d.app.Workloads {
		for c := range w.Containers() {
			name := tracedName(w.ID(), c.Spec.Name)
			f, ran := t.filters[name]
			if !ran {
				continue
			}
			in := s.Inside(w.ID(), c.Spec.Name)
			if in.SysCalls == nil {
				in.SysCalls = &app.SysCalls{}
			}
			in.SysCalls.Add(d.e.sysCalls(f, slices.Concat(t.calls[name], t.calls[runtimeName])))
			in.SysCalls.Names = filter.Within(in.SysCalls.Names, f)
		}
	}
	return nil
}

// sysCalls names calls that were made under filter f.
func (e *engine) sysCalls(f *specs.LinuxSeccomp, calls []audit.Call) app.SysCalls {
	s := app.SysCalls{Architecture: audit.Architecture(), Runtime: e.info.Runtime}
	if f == nil {
		s.Fault = "it is privileged: no filter holds for it"
		return s
	}
	names, err := audit.Names(calls)
	if err != nil {
		s.Fault = err.Error()
		return s
	}
	s.Names, s.Rules = names, filter.Rules(f)
	return s
}
