package pod

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"road/internal/app"
	"road/internal/sandbox"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// A pod that holds more of the node's disk than it may is evicted by the rules and
// with the words of the kubelet (v1.37, pkg/kubelet/eviction, localStorageEviction).
// The kubelet looks every ten seconds; here it is sooner, because who waits for it
// is on the same machine.
const (
	evictEvery = 500 * time.Millisecond
	evictGrace = 1 // seconds
)

// A quota is what a pod may hold of the node's disk.
type quota struct {
	volumes    []allowance        // emptyDirs with a sizeLimit
	pod        *resource.Quantity // all containers and volumes together; nil for no limit
	containers []allowance
}

// An allowance is what one of them may hold.
type allowance struct {
	name  string
	limit resource.Quantity
}

// quotaOf reads a pod's limits; not ok where it has none.
func quotaOf(spec *corev1.PodSpec) (q quota, ok bool) {
	for i := range spec.Volumes {
		v := &spec.Volumes[i]
		if s := v.EmptyDir; s != nil && s.Medium == corev1.StorageMediumDefault && s.SizeLimit != nil && s.SizeLimit.Sign() > 0 {
			q.volumes = append(q.volumes, allowance{v.Name, *s.SizeLimit})
		}
	}
	for i := range spec.Containers {
		c := &spec.Containers[i]
		if limit, has := c.Resources.Limits[corev1.ResourceEphemeralStorage]; has {
			q.containers = append(q.containers, allowance{c.Name, limit})
		}
	}
	q.pod = app.PodLimit(spec, corev1.ResourceEphemeralStorage)
	return q, q.pod != nil || len(q.volumes) > 0
}

// exceeded says what of the quota a pod that uses so much exceeds, "" for nothing.
func (q quota) exceeded(u diskUse) string {
	for _, v := range q.volumes {
		if u.volumes[v.name] > v.limit.Value() {
			return fmt.Sprintf("Usage of EmptyDir volume %q exceeds the limit %q.", v.name, v.limit.String())
		}
	}
	if q.pod != nil && u.sum() > q.pod.Value() {
		return fmt.Sprintf("Pod ephemeral local storage usage exceeds the total limit of containers %s.", q.pod)
	}
	for _, c := range q.containers {
		if u.containers[c.name] > c.limit.Value() {
			return fmt.Sprintf("Container %s exceeded its local ephemeral storage limit %q.", c.name, c.limit.String())
		}
	}
	return ""
}

// A diskUse is what a pod holds of the node's disk, in bytes of blocks.
type diskUse struct {
	volumes    map[string]int64 // emptyDirs on disk
	containers map[string]int64 // writable layer and log
}

func (u diskUse) sum() (n int64) {
	for _, v := range u.volumes {
		n += v
	}
	for _, c := range u.containers {
		n += c
	}
	return n
}

// diskUse looks at what lies on the disk now.
func (p *Pod) diskUse() diskUse {
	u := diskUse{map[string]int64{}, map[string]int64{}}
	for name, v := range p.volumes {
		if v.counted {
			u.volumes[name] = blocksBelow(v.path)
		}
	}
	for _, c := range p.all {
		u.containers[c.spec.Name] = blocksBelow(c.log.path)
		if a := c.current(); a != nil && a.root != nil {
			u.containers[c.spec.Name] += blocksBelow(a.root.upper)
		}
	}
	return u
}

// blocksBelow gives the bytes that a file, or a directory with its content, takes of
// its disk, each inode once. What goes away meanwhile takes none.
func blocksBelow(name string) (n int64) {
	seen := map[uint64]bool{}
	filepath.WalkDir(name, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		st, err := d.Info()
		if err != nil {
			return nil
		}
		sys := statT(st)
		if sys.Nlink > 1 && !d.IsDir() {
			if seen[sys.Ino] {
				return nil
			}
			seen[sys.Ino] = true
		}
		n += sys.Blocks * 512 // of the unit of st_blocks, whatever the file system's is
		return nil
	})
	return n
}

// evict ends the pod when it holds more than its quota. What it held is given back,
// but for its claims.
func (p *Pod) evict(q quota) {
	tick := time.NewTicker(evictEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.stopping:
			return
		case <-tick.C:
		}
		why := q.exceeded(p.diskUse())
		if why == "" {
			continue
		}
		p.mu.Lock()
		p.evicted = why
		p.mu.Unlock()
		p.fail("", "Evicted: "+why)
		p.end(evictGrace)
		<-p.done
		for _, v := range p.volumes {
			if v.counted {
				p.empty(v.path)
			}
		}
		return
	}
}

// empty removes what is in an emptyDir, and tells what stays.
func (p *Pod) empty(dir string) {
	list, err := os.ReadDir(dir)
	for _, d := range list {
		if rerr := os.RemoveAll(filepath.Join(dir, d.Name())); rerr != nil {
			err = rerr
		}
	}
	if err != nil {
		p.note("the emptyDir of an evicted pod: %v", err)
	}
}

// Disk is what the pod holds of the node's disk.
func (n *Node) Disk() (sandbox.Disk, error) {
	p := n.p
	var st unix.Statfs_t
	if err := unix.Statfs(p.disk, &st); err != nil {
		return sandbox.Disk{}, &os.PathError{Op: "statfs", Path: p.disk, Err: err}
	}
	used := p.diskUse().sum()
	p.mu.Lock()
	defer p.mu.Unlock()
	return sandbox.Disk{Used: used, Free: int64(st.Bavail) * st.Bsize, Evicted: p.evicted}, nil
}
