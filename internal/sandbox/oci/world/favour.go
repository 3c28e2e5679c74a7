package world

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// favoured is how much more processor time than its share the run gets while it
// is favoured. Sixty-four busy programs of the host take half of it then.
const favoured = 64

// Favour gives this run's cgroups precedence over the host's own programs until
// undo is called, so that what a pod takes shows on a busy machine too. It is
// meant for seconds.
func (w *World) Favour() (undo func() error, err error) { return favour(cgroupRoot, w.Cgroup) }

// favour multiplies the weight of one cgroup, in either version.
func favour(root, group string) (undo func() error, err error) {
	name, usual := filepath.Join(root, "cpu", group, "cpu.shares"), 1024
	if unified(root) {
		name, usual = filepath.Join(root, group, "cpu.weight"), 100
	}
	was, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("favour the run: %w", err)
	}
	if err := os.WriteFile(name, []byte(fmt.Sprint(favoured*usual)), 0o644); err != nil {
		return nil, fmt.Errorf("favour the run: %w", err)
	}
	return func() error { return os.WriteFile(name, []byte(strings.TrimSpace(string(was))), 0o644) }, nil
}
