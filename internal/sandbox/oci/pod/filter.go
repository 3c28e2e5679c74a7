package pod

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/containerd/containerd/v2/contrib/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// seccompProfile finds the container's own field, else the pod's, else nothing:
// the kubelet's seccompDefault is false. spec must have its capabilities already,
// on which the runtime's default profile depends.
func seccompProfile(pod *corev1.PodSecurityContext, c *corev1.Container, dirs []string, spec *specs.Spec) (*specs.LinuxSeccomp, error) {
	f := seccompField(pod, c)
	if f == nil {
		return nil, nil
	}
	switch f.Type {
	case corev1.SeccompProfileTypeUnconfined:
		return nil, nil
	case corev1.SeccompProfileTypeRuntimeDefault:
		return seccomp.DefaultProfile(spec), nil
	case corev1.SeccompProfileTypeLocalhost:
		return localhostProfile(dirs, f.LocalhostProfile)
	}
	return nil, fmt.Errorf("seccompProfile.type %q is not known", f.Type)
}

// seccompField gives the field that holds for a container; nil is no filter.
func seccompField(pod *corev1.PodSecurityContext, c *corev1.Container) *corev1.SeccompProfile {
	var f *corev1.SeccompProfile
	if pod != nil {
		f = pod.SeccompProfile
	}
	if sc := c.SecurityContext; sc != nil {
		if sc.SeccompProfile != nil {
			f = sc.SeccompProfile
		}
		if privileged(sc) {
			return nil
		}
	}
	return f
}

// nodeProfiles is where a node's kubelet has its seccomp profiles.
const nodeProfiles = "/var/lib/kubelet/seccomp"

// localhostProfile reads a profile below one of dirs, which stand for the node's
// folder, in the runtime's own format. A missing one is refused in containerd's
// words. Links out of dirs are not followed.
func localhostProfile(dirs []string, name *string) (*specs.LinuxSeccomp, error) {
	if name == nil || *name == "" {
		return nil, errors.New("localhostProfile must be set if seccompProfile type is Localhost")
	}
	if !filepath.IsLocal(*name) {
		return nil, fmt.Errorf("localhostProfile %q must be below the profiles' directory", *name)
	}
	for _, dir := range dirs {
		b, err := readBelow(dir, *name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot load seccomp profile %q: %w", *name, err)
		}
		p := &specs.LinuxSeccomp{}
		if err := json.Unmarshal(b, p); err != nil {
			return nil, fmt.Errorf("decoding seccomp profile %q: %w", *name, err)
		}
		return p, nil
	}
	at := path.Join(nodeProfiles, filepath.ToSlash(*name))
	return nil, fmt.Errorf("failed to create containerd container: cannot load seccomp profile %q: %w", at,
		&fs.PathError{Op: "open", Path: at, Err: unix.ENOENT})
}

// profileLimit is how large a profile may be, in bytes.
const profileLimit = 1 << 20

func readBelow(dir, name string) ([]byte, error) {
	f, err := os.OpenInRoot(dir, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, profileLimit))
}
