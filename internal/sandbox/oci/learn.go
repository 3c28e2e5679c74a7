package oci

import (
	"context"
	"errors"
	"maps"
	"slices"

	"road/internal/app"
)

// Learn adds what the containers did so far.
func (d *deployment) Learn(_ context.Context, s *app.Seen) error {
	d.mu.Lock()
	members := slices.Clone(d.members)
	d.recall(s)
	d.mu.Unlock()
	var errs []error
	drainOpens(members)
	for _, m := range members {
		errs = append(errs, d.learnMember(s, m))
	}
	return errors.Join(append(errs, d.learnCalls(s))...)
}

// learnMember adds what the containers of one pod did.
func (d *deployment) learnMember(s *app.Seen, m *member) error {
	var errs []error
	for c := range m.workload.Containers() {
		if c.Kind == app.Ephemeral {
			continue // never started with its pod
		}
		in := s.Inside(m.workload.ID(), c.Spec.Name)
		if err := learnWritten(in, m, c.Spec.Name); err != nil {
			errs = append(errs, err)
			continue
		}
		d.learnOpened(in, m.workload.ID(), c.Spec.Name)
		if err := learnPackages(in, d.images[c.Spec.Image]); err != nil {
			errs = append(errs, err)
		}
		if err := d.learnListens(in, m, c.Spec.Name); err != nil {
			errs = append(errs, err)
		}
		if err := d.learnPeak(in, m, c.Spec.Name, c.Kind == app.Init); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func learnWritten(in *app.SeenInside, m *member, container string) error {
	writes, err := m.pod.Writes(container)
	if err != nil {
		return err
	}
	addWrites(in, writes)
	return nil
}

func addWrites(in *app.SeenInside, writes map[string]app.Write) {
	in.Writes = app.MergeWrites(in.Writes, writes)
	in.Written = outermost(slices.AppendSeq(in.Written, maps.Keys(writes)))
}

// remember keeps what pods wrote that are about to be made anew: the first start
// on an empty volume may have needed more than any later one. The caller holds
// d.mu. What they opened, called and used at most is kept by the deployment anyway.
func (d *deployment) remember(members []*member) error {
	var errs []error
	for _, m := range members {
		for c := range m.workload.Containers() {
			if c.Kind != app.Ephemeral {
				errs = append(errs, learnWritten(d.gone.Inside(m.workload.ID(), c.Spec.Name), m, c.Spec.Name))
			}
		}
	}
	return errors.Join(errs...)
}

// recall adds to s what remember kept.
func (d *deployment) recall(s *app.Seen) {
	for id, containers := range d.gone.Containers {
		for name, was := range containers {
			in := s.Inside(id, name)
			addWrites(in, was.Writes)
		}
	}
}
