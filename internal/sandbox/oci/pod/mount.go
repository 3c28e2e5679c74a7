package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/containerd/continuity/fs"
	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// mounts gives what the kubelet and the CRI plugin mount into a container beside
// the file systems of every container, parents before children. env is for
// subPathExpr.
func (a *attempt) mounts(env []corev1.EnvVar, imageVolumes map[string]struct{}) ([]specs.Mount, error) {
	var ms []specs.Mount
	for i := range a.c.spec.VolumeMounts {
		m, err := a.volumeMount(i, env)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	if !mounted(ms, "/etc/hosts") {
		ms = append(ms, bind("/etc/hosts", filepath.Join(a.p.disk, "hosts"), false))
	}
	log, err := a.terminationLog()
	if err != nil {
		return nil, err
	}
	ms = append(ms, log)
	for _, v := range sortedKeys(imageVolumes) {
		if v = filepath.Clean("/" + v); !mounted(ms, v) {
			a.volumes = append(a.volumes, v)
			ms = append(ms, bind(v, a.imageVolumeDir(v), false))
		}
	}
	ro := readOnlyRoot(a.c.spec)
	if !mounted(ms, "/etc/hostname") {
		ms = append(ms, bind("/etc/hostname", filepath.Join(a.p.disk, "hostname"), ro))
	}
	if !mounted(ms, "/etc/resolv.conf") {
		ms = append(ms, bind("/etc/resolv.conf", filepath.Join(a.p.disk, "resolv.conf"), ro))
	}
	if !mounted(ms, "/dev/shm") {
		ms = append(ms, bind("/dev/shm", filepath.Join(a.p.dir, "shm"), false))
	}
	if a.p.o.ProbePath != "" {
		m := bind(ProbeDestination, a.p.o.ProbePath, true)
		m.Options = append(m.Options, "nosuid", "nodev")
		ms = append(ms, m)
	}
	if a.p.o.Scratch != "" {
		ms = append(ms, bind(ScratchDestination, a.p.o.Scratch, false))
	}
	sort.SliceStable(ms, func(i, j int) bool { return depth(ms[i]) < depth(ms[j]) })
	return ms, nil
}

func depth(m specs.Mount) int { return strings.Count(filepath.Clean(m.Destination), "/") }

func readOnlyRoot(c *corev1.Container) bool {
	sc := c.SecurityContext
	return sc != nil && sc.ReadOnlyRootFilesystem != nil && *sc.ReadOnlyRootFilesystem
}

func bind(destination, source string, readOnly bool) specs.Mount {
	mode := "rw"
	if readOnly {
		mode = "ro"
	}
	return specs.Mount{Destination: destination, Source: source, Type: "bind", Options: []string{"rbind", "rprivate", mode}}
}

func mounted(ms []specs.Mount, destination string) bool {
	for _, m := range ms {
		if filepath.Clean(m.Destination) == destination {
			return true
		}
	}
	return false
}

// volumeMount is the i-th of the container's volumeMounts.
func (a *attempt) volumeMount(i int, env []corev1.EnvVar) (specs.Mount, error) {
	vm := &a.c.spec.VolumeMounts[i]
	v := a.p.volumes[vm.Name]
	if v == nil {
		return specs.Mount{}, fmt.Errorf("volumeMounts: volume %q is not found", vm.Name)
	}
	source, sub, missing := v.source, vm.SubPath, ""
	if vm.SubPathExpr != "" {
		sub = expand(vm.SubPathExpr, func(n string) (string, bool) {
			for _, e := range env {
				if e.Name == n {
					return e.Value, true
				}
			}
			missing = n
			return "", false
		})
		if missing != "" {
			return specs.Mount{}, fmt.Errorf("failed to expand subPathExpr %q: missing value for %q", vm.SubPathExpr, missing)
		}
	}
	if sub != "" {
		var err error
		if source, err = a.subPath(v, sub, i); err != nil {
			return specs.Mount{}, fmt.Errorf("failed to prepare subPath for volumeMount %q of container %q: %w", vm.Name, a.c.spec.Name, err)
		}
	}
	m := bind(filepath.Join("/", vm.MountPath), source, vm.ReadOnly || v.readOnly)
	if p := vm.MountPropagation; p != nil && *p != corev1.MountPropagationNone {
		a.p.note("container %s: mountPropagation %s of %s is none", a.c.spec.Name, *p, vm.Name)
	}
	return m, nil
}

// subPath finds sub below a volume, makes a directory of it where there is
// nothing, and pins what was found by a bind mount: a link that the container
// put there cannot lead out of the volume, now or when the runtime mounts it.
func (a *attempt) subPath(v *volume, sub string, i int) (string, error) {
	if !filepath.IsLocal(sub) {
		return "", fmt.Errorf("subPath %q must be relative and not contain '..'", sub)
	}
	root, err := os.OpenRoot(v.path)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if _, err := root.Stat(sub); os.IsNotExist(err) {
		if err := makeBelow(root, v.path, sub); err != nil {
			return "", err
		}
	}
	dir, err := unix.Open(v.source, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(dir)
	fd, err := unix.Openat2(dir, sub, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS})
	if err != nil {
		return "", &os.PathError{Op: "open", Path: sub, Err: err}
	}
	defer unix.Close(fd)
	return a.pin(fd, "subpath-"+strconv.Itoa(i))
}

// makeBelow makes a subPath's directory with the mode of the volume's own.
func makeBelow(root *os.Root, volume, sub string) error {
	st, err := os.Stat(volume)
	if err != nil {
		return err
	}
	parts := strings.Split(filepath.Clean(sub), "/")
	for i := range parts {
		part := filepath.Join(parts[:i+1]...)
		if _, err := root.Stat(part); err == nil {
			continue
		}
		if err := root.Mkdir(part, 0o700); err != nil {
			return err
		}
		if err := root.Chown(part, 0, int(statT(st).Gid)); err != nil {
			return err
		}
		if err := root.Chmod(part, st.Mode()&(os.ModePerm|os.ModeSetgid)); err != nil {
			return err
		}
	}
	return nil
}

// pin binds an open file or directory to a name in the bundle.
func (a *attempt) pin(fd int, name string) (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", err
	}
	target := filepath.Join(a.bundle, name)
	var err error
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		err = os.MkdirAll(target, 0o755)
	} else {
		err = os.WriteFile(target, nil, 0o644)
	}
	if err != nil {
		return "", err
	}
	if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return "", fmt.Errorf("bind %s: %w", name, err)
	}
	return target, nil
}

// terminationLog is the file in which a container may say why it ended; everyone
// may write it, whatever the root file system allows.
func (a *attempt) terminationLog() (specs.Mount, error) {
	a.message = filepath.Join(a.disk, "termination-log")
	if err := writeFile(a.message, nil, 0o666); err != nil {
		return specs.Mount{}, err
	}
	if err := a.p.give(a.message); err != nil {
		return specs.Mount{}, err
	}
	return bind(first(a.c.spec.TerminationMessagePath, "/dev/termination-log"), a.message, false), nil
}

func (a *attempt) imageVolumeDir(destination string) string {
	return filepath.Join(a.disk, "image-volumes", strings.ReplaceAll(strings.Trim(destination, "/"), "/", "-"))
}

// fillImageVolumes copies what the image has at its VOLUMEs. Such a volume is
// writable whatever the root file system is.
func (a *attempt) fillImageVolumes() error {
	for _, v := range a.volumes {
		dir := a.imageVolumeDir(v)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		src, err := securejoin.SecureJoin(a.root.root, v)
		if err != nil {
			return err
		}
		if err := fs.CopyDir(dir, src); err != nil {
			return fmt.Errorf("image volume %s: %w", v, err)
		}
	}
	return nil
}

// mountPoints lists what must exist in the root for ms and the working directory,
// true for a file.
func mountPoints(ms []specs.Mount, cwd string) (map[string]bool, error) {
	points := map[string]bool{"/proc": false, "/dev": false, "/sys": false}
	if cwd != "" {
		points[filepath.Clean(cwd)] = false
	}
	for _, m := range ms {
		d := filepath.Clean(m.Destination)
		if d == "/dev" || strings.HasPrefix(d, "/dev/") || strings.HasPrefix(d, "/proc/") || strings.HasPrefix(d, "/sys/") {
			continue
		}
		st, err := os.Stat(m.Source)
		points[d] = err == nil && !st.IsDir()
	}
	return points, nil
}
