package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// favoured is how much more processor time than its share the run gets while it
// is favoured: the most that cgroup v2 has a weight for. A hundred busy programs of
// the host take half of it then.
const favoured = 100

// watching is the same for the worker, who counts what the pod takes and has to
// end it: with too little it would come to that seconds late, with too much it
// would itself take what the pod is to have.
const watching = 16

// ownWeight is the run's share of the processors, in usual ones for each of them:
// about what its processes had if each stood for itself.
const ownWeight = 4

// Favour gives a cgroup of this run precedence over all others of the run, and
// the run over the host's own programs, until undo is called: so what a pod takes
// shows on a busy machine too. It is meant for parts of a second.
func (w *World) Favour(path string) (undo func() error, err error) {
	var undos []func() error
	undo = func() error {
		var errs []error
		for _, u := range undos {
			errs = append(errs, u())
		}
		return errors.Join(errs...)
	}
	raise := map[string]int{}
	for p := path; len(p) >= len(w.Cgroup); p = filepath.Dir(p) {
		raise[p] = favoured
	}
	if w.worker != "" {
		raise[w.worker] = watching
	}
	for p, times := range raise {
		u, err := favour(cgroupRoot, p, times)
		if err != nil {
			return nil, errors.Join(err, undo())
		}
		undos = append(undos, u)
	}
	return undo, nil
}

// apart puts this process, and all that it will start outside of pods, into a
// cgroup of the run, so that it can be weighed against the pods. Where the host has
// no controller for that, nothing else depends on it.
func (w *World) apart() {
	worker := filepath.Join(w.Cgroup, workerCgroup)
	name, _ := weightOf(cgroupRoot, worker)
	dir := filepath.Dir(name)
	if os.Mkdir(dir, 0o755) != nil || os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o644) != nil {
		return
	}
	if weigh(cgroupRoot, w.Cgroup, ownWeight*runtime.NumCPU()) == nil {
		w.worker = worker
	}
}

// favour multiplies the usual weight of one cgroup, in either version.
func favour(root, group string, times int) (undo func() error, err error) {
	name, usual := weightOf(root, group)
	was, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("favour the run: %w", err)
	}
	if err := os.WriteFile(name, []byte(fmt.Sprint(times*usual)), 0o644); err != nil {
		return nil, fmt.Errorf("favour the run: %w", err)
	}
	return func() error { return os.WriteFile(name, []byte(strings.TrimSpace(string(was))), 0o644) }, nil
}

// weightOf gives the file of a cgroup's weight, in either version, and what
// stands there usually.
func weightOf(root, group string) (name string, usual int) {
	if unified(root) {
		return filepath.Join(root, group, "cpu.weight"), 100
	}
	return filepath.Join(root, "cpu", group, "cpu.shares"), 1024
}

// weigh gives a cgroup so many times the usual weight. Where the host has no
// controller for it, all are equal, and nothing else depends on it.
func weigh(root, group string, times int) error {
	if times <= 1 {
		return nil
	}
	name, usual := weightOf(root, group)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return os.WriteFile(name, []byte(fmt.Sprint(times*usual)), 0o644)
}
