package oci

import (
	"errors"
	"slices"

	"road/internal/app"
)

// Refused adds what the containers say that they were refused.
func (d *deployment) Refused(s *app.Seen) error {
	d.mu.Lock()
	members := slices.Clone(d.members)
	d.mu.Unlock()
	var errs []error
	for _, m := range members {
		for c := range m.workload.Containers() {
			if c.Kind == app.Ephemeral {
				continue // never started with its pod
			}
			writes, denied, err := m.pod.Refused(c.Spec.Name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			in := s.Inside(m.workload.ID(), c.Spec.Name)
			addWrites(in, writes)
			for _, n := range denied {
				if !slices.ContainsFunc(in.Denied, func(was app.Denied) bool { return was.What == n.What && was.Name == n.Name }) {
					in.Denied = append(in.Denied, n)
				}
			}
		}
	}
	return errors.Join(errs...)
}
