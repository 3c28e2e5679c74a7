package oci

import (
	"slices"

	"road/internal/app"
)

// opened keeps which files of its image a container opened, until an attack may
// have begun: what an attacker opens is not what the application needs.
func (d *deployment) opened(workload, container, name string, run bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.calls.frozen {
		return
	}
	key := [2]string{workload, container}
	if d.opens == nil {
		d.opens = map[[2]string]map[string]bool{}
	}
	if d.opens[key] == nil {
		d.opens[key] = map[string]bool{}
	}
	d.opens[key][name] = run || d.opens[key][name]
}

// learnOpened adds to in what the containers of that name opened and ran.
func (d *deployment) learnOpened(in *app.SeenInside, workload, container string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name, run := range d.opens[[2]string{workload, container}] {
		in.Opened = append(in.Opened, name)
		if run {
			in.Ran = append(in.Ran, name)
		}
	}
	slices.Sort(in.Opened)
	slices.Sort(in.Ran)
	in.Opened, in.Ran = slices.Compact(in.Opened), slices.Compact(in.Ran)
}
