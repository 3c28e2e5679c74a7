package pod

import (
	"os/exec"
	"runtime"

	"road/internal/sandbox/oci/audit"
	"road/internal/sandbox/oci/filter"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// A Trace has the kernel log every system call of a pod's containers, for package
// audit to read: the containers run under the runtime's default filter, whatever
// their manifest says, with all that it lets through logged. So nothing is
// possible that is not under RuntimeDefault, and what is learned is part of it.
//
// A container is its own program and what its probes and hooks start. What Exec,
// Run and Agent start is not.
type Trace struct {
	// Filter is told a container's filter before it starts; nil for a privileged
	// one, which no filter holds for.
	Filter func(container string, f *specs.LinuxSeccomp)

	// Session is told an audit session of a container, before anything runs in it.
	Session func(container string, session uint32)
}

// filter gives the container's filter. s must have its capabilities already.
func (a *attempt) filter(s *specs.Spec) (*specs.LinuxSeccomp, error) {
	f, err := seccompProfile(a.p.spec.SecurityContext, a.c.spec, a.p.o.SeccompDirs, s)
	if err != nil || a.p.o.Trace == nil {
		return f, err
	}
	if privileged(effective(a.p.spec.SecurityContext, a.c.spec)) {
		f = nil
	} else {
		f = filter.Logging(seccomp.DefaultProfile(s))
	}
	a.p.o.Trace.Filter(a.c.spec.Name, f)
	return f, nil
}

// startTraced starts the runtime for something that is part of the container.
// Where the pod is traced it does so from a thread with an audit session of its
// own, which the container's processes carry on.
func (a *attempt) startTraced(cmd *exec.Cmd) error {
	t := a.p.o.Trace
	if t == nil {
		return cmd.Start()
	}
	return inSession(cmd, func(session uint32) { t.Session(a.c.spec.Name, session) })
}

// inSession starts cmd in an audit session of its own, which tell is told before.
func inSession(cmd *exec.Cmd, tell func(session uint32)) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the session cannot be left again
		session, err := audit.Mark()
		if err == nil {
			tell(session)
			err = cmd.Start()
		}
		done <- err
	}()
	return <-done
}
