package pod

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// A volume is one entry of the pod's volumes, made once for the pod.
type volume struct {
	path     string // directory, or file, as it lies on the node
	source   string // what is mounted: path, with the pod's ids where it has its own
	layers   bool   // an image's, whose layers have the pod's ids
	readOnly bool   // whatever a mount says: ConfigMaps, Secrets and the like
	mounted  bool   // path is a mount of ours
	counted  bool   // an emptyDir on disk: what is written counts as the pod's
}

// makeVolumes makes every volume of the spec, in order.
func (p *Pod) makeVolumes() error {
	for i := range p.spec.Volumes {
		v := &p.spec.Volumes[i]
		made, err := p.makeVolume(v)
		if err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", v.Name, err)
		}
		if err := p.mapVolume(v.Name, made); err != nil {
			return fmt.Errorf("MountVolume.SetUp failed for volume %q: %w", v.Name, err)
		}
		p.volumes[v.Name] = made
	}
	return nil
}

func (p *Pod) makeVolume(v *corev1.Volume) (*volume, error) {
	dir := filepath.Join(p.disk, "volumes", v.Name)
	switch s := v.VolumeSource; {
	case s.EmptyDir != nil:
		return p.emptyDir(dir, s.EmptyDir)
	case s.Secret != nil, s.ConfigMap != nil, s.DownwardAPI != nil, s.Projected != nil:
		files, err := p.payload(v)
		if err != nil {
			return nil, err
		}
		return p.payloadVolume(v, files)
	case s.PersistentVolumeClaim != nil:
		return p.claim(s.PersistentVolumeClaim)
	case s.HostPath != nil:
		p.note("volume %s: hostPath %s is an empty scratch directory", v.Name, s.HostPath.Path)
		return hostPath(dir, s.HostPath)
	case s.Image != nil:
		return p.imageVolume(v.Name, dir, s.Image)
	case s.Ephemeral != nil:
		return p.scratch(dir)
	case s == (corev1.VolumeSource{}):
		return p.emptyDir(dir, &corev1.EmptyDirVolumeSource{}) // as the API server fills it in
	}
	p.note("volume %s: its kind is not supported, it is an empty scratch directory", v.Name)
	return p.scratch(dir)
}

// emptyDir is a directory that everyone may write, without the sticky bit; in
// memory it is a tmpfs, which has it. It is a directory of its own and not an
// OCI tmpfs mount, because runc gives those the mode of what they cover.
func (p *Pod) emptyDir(dir string, s *corev1.EmptyDirVolumeSource) (*volume, error) {
	vol := &volume{path: dir, counted: s.Medium == corev1.StorageMediumDefault}
	if s.Medium == corev1.StorageMediumMemory {
		vol.path = filepath.Join(p.dir, "volumes", filepath.Base(dir))
		size := ""
		if s.SizeLimit != nil && s.SizeLimit.Value() > 0 {
			size = ",size=" + strconv.FormatInt(s.SizeLimit.Value(), 10)
		}
		if err := os.MkdirAll(vol.path, 0o711); err != nil {
			return nil, err
		}
		if err := unix.Mount("tmpfs", vol.path, "tmpfs", 0, "mode=1777"+size); err != nil {
			return nil, fmt.Errorf("mount tmpfs: %w", err)
		}
		vol.mounted = true
		return vol, p.own(vol, false)
	}
	if s.Medium != corev1.StorageMediumDefault {
		p.note("volume %s: medium %s is a directory on disk", filepath.Base(dir), s.Medium)
	}
	if err := mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	return vol, p.own(vol, false)
}

// scratch stands for a volume of a kind that has no better answer here.
func (p *Pod) scratch(dir string) (*volume, error) {
	if err := mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	vol := &volume{path: dir}
	return vol, p.own(vol, false)
}

func mkdir(dir string, mode os.FileMode) error {
	if err := os.MkdirAll(dir, mode); err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// claim is the claim's directory, which others made.
func (p *Pod) claim(s *corev1.PersistentVolumeClaimVolumeSource) (*volume, error) {
	if p.o.Sources.Claim == nil {
		return nil, fmt.Errorf("persistentvolumeclaim %q not found", s.ClaimName)
	}
	if err := checkClaim(s.ClaimName); err != nil {
		return nil, err
	}
	dir, err := p.o.Sources.Claim(s.ClaimName)
	if err != nil {
		return nil, err
	}
	vol := &volume{path: dir, readOnly: s.ReadOnly}
	return vol, p.own(vol, false)
}

// hostPath never touches the host: it is a new directory with root's mode, or a
// file where the type says so.
func hostPath(dir string, s *corev1.HostPathVolumeSource) (*volume, error) {
	if s.Type != nil && (*s.Type == corev1.HostPathFile || *s.Type == corev1.HostPathFileOrCreate) {
		return &volume{path: dir}, writeFile(dir, nil, 0o644)
	}
	return &volume{path: dir}, mkdir(dir, 0o755)
}

// imageVolume is the content of an image, read-only.
func (p *Pod) imageVolume(name, dir string, s *corev1.ImageVolumeSource) (*volume, error) {
	img := p.o.Images[s.Reference]
	if img == nil {
		return nil, fmt.Errorf("image %q is not prepared", s.Reference)
	}
	target := filepath.Join(p.dir, "volumes", name)
	layers := append([]string(nil), img.Lowers...)
	for _, d := range []string{dir, dir + ".2", target} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	if err := p.mountLayers(target+".layers", append(layers, dir, dir+".2"), "", "", target); err != nil {
		return nil, err
	}
	return &volume{path: target, readOnly: true, mounted: true, layers: true}, nil
}

// own gives a volume to the pod's fsGroup, as the kubelet does: the group becomes
// its owner everywhere, files get rw for it, directories rwx and setgid; r
// instead of rw where the volume is read-only by its nature.
func (p *Pod) own(v *volume, readOnly bool) error {
	sc := p.spec.SecurityContext
	if sc == nil || sc.FSGroup == nil {
		return nil
	}
	gid := uint32(*sc.FSGroup)
	mask := uint32(0o660)
	if readOnly {
		mask = 0o440
	}
	if sc.FSGroupChangePolicy != nil && *sc.FSGroupChangePolicy == corev1.FSGroupChangeOnRootMismatch {
		st, err := os.Lstat(v.path)
		if err != nil {
			return err
		}
		s := statT(st)
		if want := mask | 0o110 | unix.S_ISGID; s.Gid == gid && s.Mode&want == want {
			return nil
		}
	}
	// The pods that share a claim may swap a file for a link at any moment: what is
	// changed is found from the volume's directory on, and never above it.
	root, err := os.OpenRoot(v.path)
	if err != nil {
		return err
	}
	defer root.Close()
	return filepath.WalkDir(v.path, func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			name, err = filepath.Rel(v.path, name)
		}
		if err == nil {
			err = ownOne(root, name, gid, mask)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func ownOne(root *os.Root, name string, gid, mask uint32) error {
	st, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if err := root.Lchown(name, -1, int(gid)); err != nil {
		return err
	}
	if st.Mode()&os.ModeSymlink != 0 {
		return nil
	}
	// The mode from before, because chown took setuid and setgid away.
	mode := st.Mode()&(os.ModePerm|os.ModeSetuid|os.ModeSetgid|os.ModeSticky) | os.FileMode(mask)
	if st.IsDir() {
		mode |= os.ModeSetgid | 0o110
	}
	return root.Chmod(name, mode)
}
