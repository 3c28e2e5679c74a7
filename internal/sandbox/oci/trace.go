package oci

import (
	"context"
	"errors"
	"fmt"

	"road/internal/app"
	"road/internal/sandbox/oci/audit"
	"road/internal/sandbox/oci/filter"
	"road/internal/sandbox/oci/pod"
	"road/internal/sandbox/oci/world"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// inHost calls f in the host's network namespace, where the audit channel is.
func (e *engine) inHost(f func() error) error { return world.InNS(e.w.HostNet, f) }

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
	log, err := audit.Begin(ctx, d.e.inHost)
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

// end ends the log, once nothing of the deployment runs any more.
func (t *tracer) end(ctx context.Context) {
	if t.log != nil {
		t.calls, t.fault = t.log.End(ctx)
		t.log = nil
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
			in.SysCalls.Add(d.e.sysCalls(f, t.calls[name]))
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
