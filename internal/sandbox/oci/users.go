package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"road/internal/image"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/pod"
	"road/internal/sandbox/oci/world"

	corev1 "k8s.io/api/core/v1"
)

// proveUsers runs a pod with users of its own, as small as a pod can be, and says
// why that cannot be done: the kernel, a limit of the host's, a file system that
// cannot map owners, or the runtime.
func (e *engine) proveUsers(ctx context.Context) (err error) {
	if err := world.ProveUserNS(e.w.Disk, e.w.Run); err != nil {
		return err
	}
	const id = "proof-of-users"
	empty := filepath.Join(e.w.Disk, id)
	if err := os.MkdirAll(empty, 0o755); err != nil {
		return err
	}
	users, err := e.newUsers(id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, users.Close(), os.RemoveAll(empty)) }()
	no := false
	p, err := pod.Start(ctx, pod.Options{
		ID: id, UserNS: users, NetNS: users.Path("net"),
		Spec:   &corev1.PodSpec{HostUsers: &no, Containers: []corev1.Container{{Name: "proof", Image: id, Command: []string{pod.ProbeDestination, "hold"}}}},
		Images: map[string]*image.Image{id: {Lowers: []string{empty}}},
		Dir:    filepath.Join(e.w.Run, "pods"), Disk: filepath.Join(e.w.Disk, "pods"),
		CgroupParent: e.w.Node, RuncRoot: filepath.Join(e.w.Run, "runc"), Runtime: e.o.Runtime, HostProc: e.w.HostProc, HostPID: e.w.HostPID,
		ProbePath: e.o.Probe,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(0)) }()
	return isOutside(ctx, p, users.Base)
}

// isOutside waits for the pod to run and looks at it from the node.
func isOutside(ctx context.Context, p *pod.Pod, base uint32) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := p.Ready(ctx); err != nil {
		return err
	}
	n, err := p.Node("")
	if err != nil {
		return err
	}
	ps, err := n.Processes()
	if err != nil {
		return err
	}
	for _, q := range ps {
		if q.UID != int(base) {
			return fmt.Errorf("the root of a pod with hostUsers: false is uid %d on the node, not %d", q.UID, base)
		}
	}
	if len(ps) == 0 {
		return errors.New("the node sees no process of a pod with hostUsers: false")
	}
	return nil
}

// users makes the user namespace that a pod asks for, nil where it asks for none
// or the host has none.
func (e *engine) users(spec *corev1.PodSpec, id string) (*world.UserNS, error) {
	if !pod.HasUserNS(spec) || e.info.Lacks[sandbox.UserNamespaces] != "" {
		return nil, nil
	}
	return e.newUsers(id)
}

func (e *engine) newUsers(id string) (*world.UserNS, error) {
	dir := filepath.Join(e.w.Run, "users")
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	return world.NewUserNS(filepath.Join(dir, id))
}

// netNS is the network namespace that came with the pod's users, "" for none.
func (m *member) netNS() string {
	if m.users == nil {
		return ""
	}
	return m.users.Path("net")
}

// root is the node's id of the pod's root.
func (m *member) root() int {
	if m.users == nil {
		return 0
	}
	return int(m.users.Base)
}

func (m *member) closeUsers() error {
	if m.users == nil {
		return nil
	}
	if err := m.users.Close(); err != nil {
		return fmt.Errorf("the users of %s: %w", m.name, err)
	}
	return nil
}
