package limits

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// fillBytes is how much of the node's disk the attack takes: more than the step lets
// a container have. A sixteenth more than the pod may have where that is more.
const fillBytes = gibi + 64*mebi

// roomFactor is how many times as much room has to be on the disk: a node that is full
// is what the attack shows, and not what it makes. A walk has two of these attacks act
// at once.
const roomFactor = 6

// A place is a directory on the node's disk.
type place struct {
	dir     string
	limited bool // a pod that has too much in it is evicted
}

// diskFill takes room in the first place on the node's disk that gives it, and looks
// whether the node lets the pod keep it.
func diskFill(ctx context.Context, s *sandbox.Scene) (step.Outcome, error) {
	places, err := diskPlaces(s)
	if err != nil {
		return step.Outcome{}, err
	}
	f := fill{scene: s, want: fillBytes, keep: keepTime}
	if limit := podLimit(s); limit != nil {
		f.want = max(f.want, limit.Value()/16*17)
	}
	if f.before, err = s.Node.Disk(); err != nil {
		return step.Outcome{}, err
	}
	if f.before.Free/roomFactor < f.want {
		return step.Outcome{Verdict: step.Unproven, Reason: fmt.Sprintf("the disk has %d MiB free, and to take %d MiB of them may disturb others: %d times as much has to be", f.before.Free/mebi, f.want/mebi, roomFactor)}, nil
	}
	var refused []string
	for _, p := range places {
		name := path.Join(p.dir, "road-fill")
		err := s.Foothold.Code(ctx, probe.Fill, probe.FillArgs{Path: name, Bytes: f.want}, nil)
		line := step.Denied(err)
		switch {
		case step.Missing(err) != "":
			continue // the image has no such directory
		case line != "":
			refused = append(refused, line)
			continue
		case err != nil && !errors.Is(err, probe.ErrEnded): // it ends with a pod that is evicted at once
			return step.Outcome{}, errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: name}))
		}
		out, kept, err := f.keeps(ctx, p)
		if kept {
			err = errors.Join(err, step.Clean(ctx, s.Foothold, probe.Remove, probe.Path{Path: name}))
		}
		return out, err
	}
	if len(refused) == 0 {
		return step.Outcome{}, errors.New("none of its directories is there")
	}
	return step.Outcome{Verdict: step.Blocked, Evidence: strings.Join(refused, "\n")}, nil
}

// podLimit is what the pod of the scene, which has its container, may hold of the
// node's disk in all, nil where nobody says.
func podLimit(s *sandbox.Scene) *resource.Quantity {
	return app.PodLimit(step.Container(s).Workload.Pod, corev1.ResourceEphemeralStorage)
}

// diskPlaces gives the directories that lie on the node's disk: those of the
// root file system in which files are put first, and every emptyDir. Claims are
// a disk of their own.
func diskPlaces(s *sandbox.Scene) ([]place, error) {
	dirs, err := step.RootDirs(s)
	if err != nil {
		return nil, err
	}
	limited := podLimit(s) != nil
	var places []place
	for _, dir := range dirs {
		places = append(places, place{dir, limited})
	}
	c := step.Container(s)
	onDisk := map[string]*corev1.EmptyDirVolumeSource{}
	for _, v := range c.Workload.Pod.Volumes {
		if v.EmptyDir != nil && v.EmptyDir.Medium == corev1.StorageMediumDefault {
			onDisk[v.Name] = v.EmptyDir
		}
	}
	for _, m := range c.Spec.VolumeMounts {
		if v := onDisk[m.Name]; v != nil && !m.ReadOnly {
			places = append(places, place{path.Clean("/" + m.MountPath), limited || v.SizeLimit != nil && v.SizeLimit.Sign() > 0})
		}
	}
	return places, nil
}

// A fill is what was taken of the disk.
type fill struct {
	scene  *sandbox.Scene
	want   int64
	keep   time.Duration // for which the node may still evict
	before sandbox.Disk
}

// The node looks now and then only, the kubelet every ten seconds, and a pod that it
// evicts has a moment to end.
const (
	keepTime = 30 * time.Second
	freeTime = 10 * time.Second // until nothing of an evicted pod is left
	lookTime = 50 * time.Millisecond
)

// keeps judges by what the node counts, for so long as it may still evict.
func (f fill) keeps(ctx context.Context, p place) (out step.Outcome, kept bool, err error) {
	var most int64
	for begun := time.Now(); ; {
		d, err := f.scene.Node.Disk()
		if err != nil {
			return step.Outcome{}, true, errors.Join(err, ctx.Err())
		}
		most = max(most, d.Used-f.before.Used)
		counts := fmt.Sprintf("on the node: %d MiB more on its disk, in %s", most/mebi, p.dir)
		switch over := time.Since(begun) > f.keep; {
		case d.Evicted != "":
			left, err := f.freed(ctx)
			return step.Outcome{Verdict: step.Blocked, Evidence: fmt.Sprintf("%s\nevicted: %s\non the node: %d MiB afterwards", counts, d.Evicted, left/mebi)}, false, err
		case most >= f.want && (over || !p.limited):
			return step.Outcome{Verdict: step.Succeeded, Evidence: counts}, true, nil
		case over || !p.limited:
			return step.Outcome{}, true, fmt.Errorf("%d MiB were taken, and the node does not count them: %s", f.want/mebi, counts)
		}
		if err := untilNextLook(ctx); err != nil {
			return step.Outcome{}, true, err
		}
	}
}

// freed waits until an evicted pod holds nothing of what was taken, and gives what it
// holds. Its log stays, and its last words come to it.
func (f fill) freed(ctx context.Context) (int64, error) {
	for begun := time.Now(); ; {
		d, err := f.scene.Node.Disk()
		switch {
		case err != nil:
			return 0, errors.Join(err, ctx.Err())
		case d.Used-f.before.Used < f.want/2:
			return d.Used, nil
		case time.Since(begun) > freeTime:
			return 0, fmt.Errorf("evicted, and the node still counts %d MiB on its disk, %d before", d.Used/mebi, f.before.Used/mebi)
		}
		if err := untilNextLook(ctx); err != nil {
			return 0, err
		}
	}
}

func untilNextLook(ctx context.Context) error {
	select {
	case <-time.After(lookTime):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
