package step

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
)

// Refused gives the kernel's answer in err as a tool would print it, "" where
// err is something else: a probe that could not start, a stream that ended. Only
// what the kernel answered can make an attack blocked.
func Refused(err error) string {
	var e *probe.Error
	if errors.As(err, &e) && e.Errno != 0 {
		return e.Error()
	}
	return ""
}

// Denied is Refused where the answer is a want of rights: EACCES, EPERM or EROFS.
func Denied(err error) string {
	if errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EROFS) {
		return Refused(err)
	}
	return ""
}

// Unanswered is Refused where the answer is that a connection did not come about
// in time. No other time-out is one: not that of an attack, nor of a probe that
// did not start, nor that of a side which took the connection and was slow.
func Unanswered(err error) string {
	var e *probe.Error
	if errors.As(err, &e) && e.Op == "connect" && errors.Is(e, syscall.ETIMEDOUT) {
		return e.Error()
	}
	return ""
}

// Denial is Blocked where the kernel denied, and an error of anything else.
func Denial(err error) (Outcome, error) {
	if line := Denied(err); line != "" {
		return Outcome{Verdict: Blocked, Evidence: line}, nil
	}
	return Outcome{}, err
}

// cleanLimit is how long an attack may take to clean up.
const cleanLimit = 30 * time.Second

// Clean has code inside take away what an attack left, in half a minute at most,
// also where the attack's own time is over.
func Clean(ctx context.Context, f sandbox.Foothold, verb string, args any) error {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	return f.Code(limit, verb, args, nil)
}

// Missing is Refused where the answer is that there is no such file: the tool
// that an attack needs is gone.
func Missing(err error) string {
	if errors.Is(err, syscall.ENOENT) {
		return Refused(err)
	}
	return ""
}

// Listing shows a file as ls -ln does.
func Listing(name string, f sandbox.File) string {
	const letters = "rwxrwxrwx"
	mode := []byte("----------")
	if f.Device {
		mode[0] = 'c'
	}
	for i := range letters {
		if f.Mode&(1<<(8-i)) != 0 {
			mode[i+1] = letters[i]
		}
	}
	for _, bit := range []struct {
		mode  uint32
		place int
		with  byte
	}{{0o4000, 3, 's'}, {0o2000, 6, 's'}, {0o1000, 9, 't'}} {
		if f.Mode&bit.mode != 0 {
			if mode[bit.place] == '-' {
				bit.with -= 'a' - 'A'
			}
			mode[bit.place] = bit.with
		}
	}
	return fmt.Sprintf("%s uid %d gid %d %s", mode, f.UID, f.GID, name)
}

// FindProcess waits up to a second for the node to see a process of the
// container whose program's name starts with prefix. The last value is false
// where none was seen.
func FindProcess(ctx context.Context, n sandbox.Node, prefix string) (sandbox.Process, bool, error) {
	for range 20 {
		list, err := n.Processes()
		if err != nil {
			return sandbox.Process{}, false, err
		}
		for _, p := range list {
			if strings.HasPrefix(p.Exe, prefix) {
				return p, true, nil
			}
		}
		select {
		case <-ctx.Done():
			return sandbox.Process{}, false, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return sandbox.Process{}, false, nil
}

// Container finds the container that a scene is about, nil where the
// application has none of that name.
func Container(s *sandbox.Scene) *app.Container {
	w := s.App.Workload(s.Target.Workload)
	if w == nil {
		return nil
	}
	for c := range w.Containers() {
		if c.Spec.Name == s.Target.Container {
			return c
		}
	}
	return nil
}

// OnVolume says whether a directory of c's container lies on a volume: one that
// the pod mounts, or one that its image declares, as far as that is known.
func OnVolume(a *app.App, c *app.Container, dir string) bool {
	below := func(mount string) bool {
		mount = strings.TrimRight("/"+strings.Trim(mount, "/"), "/")
		return dir == mount || strings.HasPrefix(dir, mount+"/")
	}
	for _, m := range c.Spec.VolumeMounts {
		if below(m.MountPath) {
			return true
		}
	}
	for _, v := range a.Seen.Images[c.Spec.Image].Volumes {
		if below(v) {
			return true
		}
	}
	return false
}

// RootDirs gives the directories of the attacked container's root file system in
// which files are put first: the one in which the application runs, then those for
// temporary files; none on a volume.
func RootDirs(s *sandbox.Scene) ([]string, error) {
	c := Container(s)
	if c == nil {
		return nil, fmt.Errorf("%s has no container %q", s.Target.Workload, s.Target.Container)
	}
	work := c.Spec.WorkingDir
	if work == "" {
		work = s.App.Seen.Images[c.Spec.Image].WorkingDir
	}
	var dirs []string
	for _, d := range []string{path.Clean("/" + work), "/tmp", "/var/tmp"} {
		if !OnVolume(s.App, c, d) && !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs, nil
}
