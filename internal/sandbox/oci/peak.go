package oci

import (
	"slices"

	"road/internal/app"
	"road/internal/sandbox/oci/pod"
)

// measured keeps the peaks of a workload's pods, until an attack may have begun:
// what an attacker uses is not what the application needs.
func (d *deployment) measured(workload, container string, p pod.Peak) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls.frozen {
		return
	}
	if d.peaks == nil {
		d.peaks = map[string]map[string]pod.Peak{}
	}
	if d.peaks[workload] == nil {
		d.peaks[workload] = map[string]pod.Peak{}
	}
	was := d.peaks[workload][container]
	d.peaks[workload][container] = pod.Peak{Memory: max(was.Memory, p.Memory), CPU: max(was.CPU, p.CPU)}
}

// learnPeak adds to in what a container of m, and those of its name in the
// workload's other pods, used at once. One that did not run was not measured; an
// initial one may have been over before its first measure, and used nothing then.
func (d *deployment) learnPeak(in *app.SeenInside, m *member, container string, initial bool) error {
	d.mu.Lock()
	p, ok := d.peaks[m.workload.ID()][container]
	frozen := d.calls.frozen
	d.mu.Unlock()
	if !ok && !initial {
		return nil
	}
	if in.Peak == nil {
		in.Peak = &app.Peak{}
	}
	q := app.Peak{MemoryBytes: p.Memory, MilliCPU: p.CPU}
	if !frozen { // an attacker may have written since
		bytes, err := m.pod.LayerBytes(container)
		if err != nil {
			return err
		}
		q.LayerBytes = bytes
	}
	in.Peak.Raise(q)
	return nil
}

// learnListens adds to in the ports on which a container of m listens; none once
// an attack may have begun.
func (d *deployment) learnListens(in *app.SeenInside, m *member, container string) error {
	d.mu.Lock()
	frozen := d.calls.frozen
	d.mu.Unlock()
	if frozen {
		return nil
	}
	ports, err := m.pod.Listens(container)
	in.Listens = append(in.Listens, ports...)
	slices.Sort(in.Listens)
	in.Listens = slices.Compact(in.Listens)
	return err
}
