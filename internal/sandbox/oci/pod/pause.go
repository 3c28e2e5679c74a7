package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// pauseUser is who the pause program runs as, as in a cluster.
const pauseUser = 65535

// sharesPID says that the pod's containers see each other's processes.
func (p *Pod) sharesPID() bool {
	return p.spec.ShareProcessNamespace != nil && *p.spec.ShareProcessNamespace
}

// A pause is PID 1 of a process namespace that the pod's containers share.
type pause struct {
	id     string
	bundle string
	cmd    *exec.Cmd
	stdin  *os.File // the program ends when this is closed
	exited chan struct{}
}

// startPause starts PID 1 of the shared process namespace, where there is one:
// the probe, which waits for its input and does nothing. It is no reaper, so
// orphans that end stay as zombies until the pod does.
func (p *Pod) startPause() error {
	if !p.sharesPID() {
		return nil
	}
	if p.o.ProbePath == "" {
		return errors.New("shareProcessNamespace needs the probe, which was not given")
	}
	q := &pause{id: p.o.ID + ".pause", bundle: filepath.Join(p.dir, "pause"), exited: make(chan struct{})}
	s, err := p.pauseSpec(q)
	if err != nil {
		return err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	root := filepath.Join(q.bundle, "rootfs")
	if err := errors.Join(mkdir(root, 0o711), p.give(root)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(q.bundle, "config.json"), b, 0o600); err != nil {
		return err
	}
	pid, err := q.start(p)
	if err != nil {
		return err
	}
	p.ns[string(specs.PIDNamespace)] = fmt.Sprintf("/proc/%d/ns/pid", pid)
	return nil
}

func (p *Pod) pauseSpec(q *pause) (*specs.Spec, error) {
	ctx := namespaces.WithNamespace(p.ctx, "road")
	s, err := oci.GenerateSpec(ctx, nil, &containers.Container{ID: q.id}, oci.WithoutRunMount,
		oci.WithRootFSPath(filepath.Join(q.bundle, "rootfs")), oci.WithRootFSReadonly(),
		oci.WithProcessArgs("/pause/pause", "agent"), oci.WithUIDGID(pauseUser, pauseUser), oci.WithCapabilities(nil))
	if err != nil {
		return nil, err
	}
	s.Hostname = ""
	s.Linux.CgroupsPath = p.cgroup.child("pause").path
	s.Linux.Namespaces = []specs.LinuxNamespace{{Type: specs.MountNamespace}, {Type: specs.PIDNamespace}}
	for _, t := range []specs.LinuxNamespaceType{specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: t, Path: p.ns[string(t)]})
	}
	p.joinUsers(s)
	s.Mounts = append(s.Mounts, bind("/pause/pause", p.o.ProbePath, true))
	// Mount points that are not there before are made by the runtime.
	return s, nil
}

// start gives the PID of the pause program, here.
func (q *pause) start(p *Pod) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	pidFile := filepath.Join(q.bundle, "pid")
	var out logBook
	q.cmd = exec.Command(p.o.Runtime, "--root", p.o.RuncRoot, "run", "--keep", "--pid-file", pidFile, "--bundle", q.bundle, q.id)
	q.cmd.Stdin, q.cmd.Stdout, q.cmd.Stderr = r, &out, &out
	q.stdin = w
	if err := q.cmd.Start(); err != nil {
		w.Close()
		return 0, err
	}
	p.pause = q
	go func() { q.cmd.Wait(); close(q.exited) }()
	for {
		b, _ := os.ReadFile(pidFile)
		if pid, err := strconv.Atoi(string(b)); err == nil && pid > 0 {
			return pid, nil
		}
		select {
		case <-q.exited:
			return 0, fmt.Errorf("pause: %s", out.lines(5))
		case <-time.After(time.Millisecond):
		}
	}
}

// stopPause ends the shared process namespace, and every process in it.
func (p *Pod) stopPause() error {
	q := p.pause
	if q == nil {
		return nil
	}
	p.pause = nil
	q.stdin.Close()
	p.cgroup.child("pause").kill()
	<-q.exited
	return p.deleteContainer(q.id)
}
