package pod

import (
	"errors"
	"io/fs"
	"os"

	"road/internal/app"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// defaultGrace is a pod's terminationGracePeriodSeconds.
const defaultGrace = 30

// run takes the pod through its life: init containers one after another,
// sidecars that go on behind them, then the normal ones.
func (p *Pod) run() {
	defer close(p.done)
	var sidecars []*container
	defer func() {
		for i := len(sidecars) - 1; i >= 0; i-- {
			closeOnce(sidecars[i].stop)
			<-sidecars[i].ended
		}
	}()
	for _, c := range p.all {
		if c.kind != app.Init {
			continue
		}
		if c.sidecar() {
			sidecars = append(sidecars, c)
		}
		if !p.initialize(c) {
			return
		}
	}
	p.runNormal()
}

// initialize runs an init container to its end, or a sidecar until it has
// started. It says whether the next may come.
func (p *Pod) initialize(c *container) bool {
	go c.live()
	if c.sidecar() {
		select {
		case <-c.started:
			return true
		case <-c.ended:
		case <-p.stopping:
		}
		return false
	}
	<-c.ended
	s := c.status()
	return s.Phase == Terminated && s.ExitCode == 0 && !c.stopped()
}

// runNormal starts the normal containers together; only one with a postStart
// hook holds back those after it, as in a cluster.
func (p *Pod) runNormal() {
	var started []*container
	for _, c := range p.all {
		if c.kind != app.Normal || c.stopped() {
			continue
		}
		go c.live()
		started = append(started, c)
		if c.spec.Lifecycle != nil && c.spec.Lifecycle.PostStart != nil {
			select {
			case <-c.hooked:
			case <-c.ended:
			}
		}
	}
	for _, c := range started {
		<-c.ended
		p.broadcast()
	}
}

// graceSeconds is the pod's own grace period.
func (p *Pod) graceSeconds() int64 {
	if g := p.spec.TerminationGracePeriodSeconds; g != nil {
		return *g
	}
	return defaultGrace
}

// stopGrace is what the pod was given when it was told to end.
func (p *Pod) stopGrace() int64 {
	select {
	case <-p.stopping:
		return p.grace
	default:
		return p.graceSeconds() // a sidecar after the normal containers have ended
	}
}

// Stop ends the pod and removes everything of it but claims. grace is in seconds
// and negative for the pod's own; 0 kills at once, also where an earlier Stop is
// still waiting. It returns when nothing is left.
func (p *Pod) Stop(grace int64) error {
	if grace < 0 {
		grace = p.graceSeconds()
	}
	p.end(grace)
	if grace == 0 {
		p.cancel()
	}
	<-p.done
	p.stopOnce.Do(func() {
		p.cancel()
		p.beside.Wait()
		p.stopErr = p.tearDown()
		close(p.closed)
	})
	return p.stopErr
}

// end tells the pod's containers to end, unless they were told before.
func (p *Pod) end(grace int64) {
	p.endOnce.Do(func() {
		p.grace = grace
		close(p.stopping)
	})
}

// tearDown removes what setUp made.
func (p *Pod) tearDown() error {
	var errs []error
	for _, c := range p.all {
		c.log.close()
	}
	errs = append(errs, p.stopPause())
	// Nothing is removed below a mount that stays: it may be a claim.
	if err := unmountBelow(p.dir); err != nil {
		errs = append(errs, err)
	} else {
		errs = append(errs, os.RemoveAll(p.dir), os.RemoveAll(p.disk))
	}
	if p.cgroup.path != "" {
		errs = append(errs, p.cgroup.remove())
	}
	return errors.Join(errs...)
}

// unmountBelow unmounts everything below dir, the deepest first.
func unmountBelow(dir string) error {
	ms, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		return err
	}
	var errs []error
	for i := len(ms) - 1; i >= 0; i-- {
		err := unix.Unmount(ms[i].Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, &fs.PathError{Op: "umount", Path: ms[i].Mountpoint, Err: err})
		}
	}
	return errors.Join(errs...)
}
