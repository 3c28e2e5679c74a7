package limits

import (
	"context"
	"fmt"
	"path"
	"strings"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// fillBytes is what disk-fill writes: enough to be seen, too little to do harm.
const fillBytes = 64 * mebi

// diskFill writes to the first place on the node's disk that takes it.
func diskFill(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	places, err := diskPlaces(s)
	if err != nil {
		return step.Outcome{}, err
	}
	limit, limited, err := limitOf(s, corev1.ResourceEphemeralStorage)
	if err != nil {
		return step.Outcome{}, err
	}
	var refused []string
	for _, dir := range places {
		grown, err := fill(ctx, s, path.Join(dir, "road-fill"))
		line := step.Denied(err)
		switch {
		case step.Missing(err) != "":
			continue // the image has no such directory
		case line != "":
			refused = append(refused, line)
			continue
		case err != nil:
			return step.Outcome{}, err
		}
		out := step.Outcome{Verdict: step.Succeeded, Evidence: fmt.Sprintf("on the node: %d MiB more on its disk, written in %s", grown/mebi, dir)}
		if limited {
			out.Verdict = step.Unproven
			out.Reason = fmt.Sprintf("the kubelet evicts a pod that holds more than its limit of %s, and nothing evicts here", limit.String())
		}
		return out, nil
	}
	if len(refused) == 0 {
		return step.Outcome{}, fmt.Errorf("none of %s is there", strings.Join(places, ", "))
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(refused, "\n")}, nil
}

// diskPlaces gives the directories that lie on the node's disk: those of the
// root file system in which files are put first, and every emptyDir. Claims are
// a disk of their own.
func diskPlaces(s *sandbox.Scene) ([]string, error) {
	dirs, err := step.RootDirs(s)
	if err != nil {
		return nil, err
	}
	c := step.Container(s)
	onDisk := map[string]bool{}
	for _, v := range c.Workload.Pod.Volumes {
		onDisk[v.Name] = v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumDefault
	}
	for _, m := range c.Spec.VolumeMounts {
		if onDisk[m.Name] && !m.ReadOnly {
			dirs = append(dirs, path.Clean("/"+m.MountPath))
		}
	}
	return dirs, nil
}

// fill appends to a file until the node sees fillBytes in it, and gives by how
// much the pod's share of the disk grew. Nothing of it stays.
func fill(ctx context.Context, s *sandbox.Scene, name string) (grown int64, err error) {
	before, err := s.Node.Usage()
	if err != nil {
		return 0, err
	}
	defer func() {
		removed := step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: name})
		if err == nil {
			err = removed
		}
	}()
	for {
		// The content is the probe's own program, again and again.
		if err := s.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Self: true, Append: true}, nil); err != nil {
			return 0, err
		}
		f, err := s.Node.Stat(name)
		if err != nil {
			return 0, err
		}
		if f.Size >= fillBytes {
			break
		}
	}
	after, err := s.Node.Usage()
	if err != nil {
		return 0, err
	}
	if grown = after.WriteBytes - before.WriteBytes; grown < fillBytes {
		return 0, fmt.Errorf("%d MiB were written in %s, and the node counts %d", fillBytes/mebi, path.Dir(name), grown/mebi)
	}
	return grown, nil
}
