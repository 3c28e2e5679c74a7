package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/cap"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// bundleSpec writes the container's OCI spec in memory: containerd's default for
// containers, made into what its CRI plugin makes of a kubelet's request. root
// must be mounted, for users are looked up in it.
func (a *attempt) bundleSpec(img *ocispec.ImageConfig, env []corev1.EnvVar, ms []specs.Mount) (*specs.Spec, error) {
	c, p := a.c.spec, a.p
	sc := effective(p.spec.SecurityContext, c)
	args, err := arguments(c, env, img.Entrypoint, img.Cmd)
	if err != nil {
		return nil, err
	}
	ctx := namespaces.WithNamespace(p.ctx, "road")
	s, err := oci.GenerateSpec(ctx, nil, &containers.Container{ID: a.id},
		oci.WithoutRunMount, oci.WithDefaultPathEnv, oci.WithRootFSPath(a.root.root), oci.WithDefaultUnixDevices,
		oci.WithProcessArgs(args...), oci.WithEnv([]string{"HOSTNAME=" + p.o.Hostname}),
		oci.WithEnv(img.Env), oci.WithEnv(envStrings(env)))
	if err != nil {
		return nil, err
	}
	s.Root.Readonly = readOnlyRoot(c)
	s.Hostname = "" // the shared uts namespace has it
	s.Linux.CgroupsPath = a.cgroup.path
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = maskedPaths, readonlyPaths
	s.Linux.Namespaces = a.namespaces()
	p.joinUsers(s)
	if err := a.process(s, sc, img); err != nil {
		return nil, err
	}
	r := resources(c)
	r.Devices = s.Linux.Resources.Devices
	s.Linux.Resources = r
	s.Mounts = merge(s.Mounts, ms)
	if p.o.UserNS != nil && (privileged(sc) || unmasked(sc)) {
		// A cluster opens /proc to a privileged container of the host's users too.
		// Here it has the settings of the machine that the user sits at, so only
		// users who own none of them get it.
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil
	}
	if !p.cgroup.unified {
		// runc 1.1 leaves the tmpfs above the hierarchies of version 1 writable.
		s.Linux.ReadonlyPaths = append([]string{cgroupRoot}, s.Linux.ReadonlyPaths...)
	}
	s.Linux.Seccomp, err = a.filter(s)
	return s, err
}

// process settles the user, the capabilities and what goes with them. GenerateSpec
// sets no_new_privs and a limit of 1024 files, a pod has neither.
func (a *attempt) process(s *specs.Spec, sc *corev1.SecurityContext, img *ocispec.ImageConfig) error {
	if err := verifyEscalation(sc); err != nil {
		return err
	}
	s.Process.NoNewPrivileges = noNewPrivileges(sc)
	s.Process.Rlimits = nil
	s.Process.Terminal = false
	s.Process.Cwd = first(a.c.spec.WorkingDir, img.WorkingDir, "/")
	score := oomScore(a.p.spec, a.c.spec, memoryCapacity())
	score = atLeastOwnScore(score)
	s.Process.OOMScoreAdj = &score
	caps, err := capabilities(sc)
	if err != nil {
		return err
	}
	caps, out := keepHostOut(caps)
	if len(out) > 0 {
		a.p.note("container %s: %s act on the whole host and are left out", a.c.spec.Name, strings.Join(out, ", "))
	}
	s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: caps, Permitted: caps, Effective: caps}
	if err := setUser(a.p.ctx, s, a.p.spec.SecurityContext, a.c.spec, img.User); err != nil {
		return fmt.Errorf("container %s: %w", a.c.spec.Name, err)
	}
	return nil
}

// atLeastOwnScore keeps a score within what this process may set: only
// CAP_SYS_RESOURCE allows a lower one than its own.
func atLeastOwnScore(score int) int {
	caps, err := ownCapabilities()
	if err == nil && contains(caps, "CAP_SYS_RESOURCE") {
		return score
	}
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return score
	}
	own, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return score
	}
	return max(score, own)
}

var ownCapabilities = sync.OnceValues(cap.Current)

// namespaces joins those that the pod's containers share and asks for new ones
// for the rest.
func (a *attempt) namespaces() []specs.LinuxNamespace {
	ns := []specs.LinuxNamespace{
		{Type: specs.MountNamespace},
		{Type: specs.PIDNamespace, Path: a.p.ns[string(specs.PIDNamespace)]},
	}
	for _, t := range []specs.LinuxNamespaceType{specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace} {
		ns = append(ns, specs.LinuxNamespace{Type: t, Path: a.p.ns[string(t)]})
	}
	if a.p.cgroup.unified {
		ns = append(ns, specs.LinuxNamespace{Type: specs.CgroupNamespace})
	}
	return ns
}

// merge puts ms over the mounts of every container: one with the same
// destination replaces it, and one at /dev replaces all below.
func merge(defaults, ms []specs.Mount) []specs.Mount {
	defaults = append(defaults, specs.Mount{
		Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup",
		Options: []string{"nosuid", "noexec", "nodev", "relatime", "ro"},
	})
	var out []specs.Mount
	for _, d := range defaults {
		if mounted(ms, d.Destination) || strings.HasPrefix(d.Destination, "/dev/") && mounted(ms, "/dev") {
			continue
		}
		out = append(out, d)
	}
	return append(out, ms...)
}

func envStrings(env []corev1.EnvVar) []string {
	var ss []string
	for _, e := range env {
		ss = append(ss, e.Name+"="+e.Value)
	}
	return ss
}

// cwd is where the container starts, before the spec exists.
func cwd(c *corev1.Container, img *ocispec.ImageConfig) string {
	return filepath.Clean(first(c.WorkingDir, img.WorkingDir, "/"))
}
