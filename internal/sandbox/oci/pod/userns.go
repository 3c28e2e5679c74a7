package pod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"road/internal/sandbox/oci/world"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// HasUserNS says whether a pod asks for a user namespace of its own.
func HasUserNS(s *corev1.PodSpec) bool { return s.HostUsers != nil && !*s.HostUsers }

// checkUsers refuses what the API server refuses beside hostUsers: false, and what
// it refuses without.
func checkUsers(s *corev1.PodSpec) error {
	var errs []error
	if !HasUserNS(s) {
		for _, c := range slices.Concat(s.InitContainers, s.Containers) {
			if c.SecurityContext != nil && unmasked(c.SecurityContext) {
				errs = append(errs, fmt.Errorf("container %s: securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`", c.Name))
			}
		}
		return errors.Join(errs...)
	}
	for _, f := range []struct {
		field string
		set   bool
	}{{"hostNetwork", s.HostNetwork}, {"hostPID", s.HostPID}, {"hostIPC", s.HostIPC}} {
		if f.set {
			errs = append(errs, fmt.Errorf("spec.%s: Forbidden: when `hostUsers` is false", f.field))
		}
	}
	for _, c := range slices.Concat(s.InitContainers, s.Containers) {
		if len(c.VolumeDevices) > 0 {
			errs = append(errs, fmt.Errorf("container %s: volumeDevices: Forbidden: when `hostUsers` is false", c.Name))
		}
	}
	return errors.Join(errs...)
}

// idMappings are those of the pod's containers, nil for the host's ids.
func (p *Pod) idMappings() []specs.LinuxIDMapping {
	if p.o.UserNS == nil {
		return nil
	}
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: p.o.UserNS.Base, Size: world.UserNSSize}}
}

// joinUsers has a container join the pod's user namespace. The runtime wants the
// mappings beside the path.
func (p *Pod) joinUsers(s *specs.Spec) {
	if p.o.UserNS == nil {
		return
	}
	user := specs.LinuxNamespace{Type: specs.UserNamespace, Path: p.o.UserNS.Path("user")}
	s.Linux.Namespaces = append([]specs.LinuxNamespace{user}, s.Linux.Namespaces...)
	s.Linux.UIDMappings, s.Linux.GIDMappings = p.idMappings(), p.idMappings()
}

// root is the host's id of the pod's root.
func (p *Pod) root() int {
	if p.o.UserNS == nil {
		return 0
	}
	return int(p.o.UserNS.Base)
}

// give makes the pod's root the owner of a file of ours that its containers get.
func (p *Pod) give(name string) error {
	if p.o.UserNS == nil {
		return nil
	}
	return os.Lchown(name, p.root(), p.root())
}

// giveShifted moves the owner of a directory of ours to the pod's ids.
func (p *Pod) giveShifted(dir string) error {
	if p.o.UserNS == nil {
		return nil
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	sys := statT(st)
	mode := sys.Mode & 0o7777 // chown takes setgid away
	return errors.Join(os.Lchown(dir, p.root()+int(sys.Uid), p.root()+int(sys.Gid)), unix.Chmod(dir, mode))
}

// mapVolume has containers get a volume with the pod's ids: the owners on the
// disk stay those that the containers see, so that a claim keeps its owners
// whichever namespace it is used from, and in none.
func (p *Pod) mapVolume(name string, v *volume) error {
	v.source = v.path
	if p.o.UserNS == nil || v.layers {
		return nil
	}
	st, err := os.Stat(v.path)
	if err != nil {
		return err
	}
	v.source = filepath.Join(p.dir, "mapped", name)
	if err := mkdir(filepath.Dir(v.source), 0o711); err != nil {
		return err
	}
	if st.IsDir() {
		err = os.Mkdir(v.source, 0o711)
	} else {
		err = os.WriteFile(v.source, nil, 0o600)
	}
	if err != nil {
		return err
	}
	return p.o.UserNS.Map(v.path, v.source)
}

// mapLayers gives an image's layers with the pod's ids, below dir, until undo is
// called: an overlay holds on to what it was mounted from, and cannot be mapped
// itself.
func (p *Pod) mapLayers(dir string, lowers []string) (mapped []string, undo func() error, err error) {
	if p.o.UserNS == nil {
		return lowers, func() error { return nil }, nil
	}
	undo = func() error {
		var errs []error
		for _, m := range mapped {
			errs = append(errs, unix.Unmount(m, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
		}
		return errors.Join(errs...)
	}
	for i, l := range lowers {
		target := filepath.Join(dir, strconv.Itoa(i))
		if err = os.MkdirAll(target, 0o700); err == nil {
			err = p.o.UserNS.Map(l, target)
		}
		if err != nil {
			return nil, nil, errors.Join(fmt.Errorf("image layer: %w", err), undo())
		}
		mapped = append(mapped, target)
	}
	return mapped, undo, nil
}

// mountLayers mounts an image at target, with the pod's ids.
func (p *Pod) mountLayers(bundle string, lowers []string, upper, work, target string) (err error) {
	mapped, undo, err := p.mapLayers(filepath.Join(bundle, "layers"), lowers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, undo()) }()
	return mountOverlay(mapped, upper, work, target)
}
