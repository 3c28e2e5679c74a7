package pod

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// postStart runs the container's postStart hook; a container whose hook fails is
// ended and started again.
func (a *attempt) postStart(ctx context.Context) error {
	if l := a.c.spec.Lifecycle; l != nil && l.PostStart != nil {
		return a.hook(ctx, l.PostStart)
	}
	return nil
}

// preStop runs the container's preStop hook for at most grace seconds.
func (a *attempt) preStop(grace int64) {
	l := a.c.spec.Lifecycle
	if l == nil || l.PreStop == nil {
		return
	}
	ctx, cancel := context.WithTimeout(a.p.ctx, time.Duration(grace)*time.Second)
	defer cancel()
	if err := a.hook(ctx, l.PreStop); err != nil && ctx.Err() == nil {
		a.p.note("container %s: preStop hook: %v", a.c.spec.Name, err)
	}
}

func (a *attempt) hook(ctx context.Context, h *corev1.LifecycleHandler) error {
	switch {
	case h.Exec != nil:
		out := head{limit: probeOutput}
		code, err := a.execOwn(ctx, h.Exec.Command, &out)
		if err == nil && code != 0 {
			err = fmt.Errorf("%s: exit status %d: %s", strings.Join(h.Exec.Command, " "), code, strings.TrimSpace(out.String()))
		}
		return err
	case h.HTTPGet != nil:
		return a.c.get(ctx, h.HTTPGet)
	case h.Sleep != nil:
		select {
		case <-time.After(time.Duration(h.Sleep.Seconds) * time.Second):
		case <-ctx.Done():
		case <-a.exited:
		}
		return nil
	case h.TCPSocket != nil:
		return nil // accepted by the API for old objects and never run
	}
	return errors.New("the hook has no action")
}
