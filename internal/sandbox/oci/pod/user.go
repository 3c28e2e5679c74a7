package pod

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	securejoin "github.com/cyphar/filepath-securejoin"
	"github.com/opencontainers/runtime-spec/specs-go"
	corev1 "k8s.io/api/core/v1"
)

// setUser resolves the container's user, group and supplemental groups inside
// the root file system that s names, as the kubelet and the CRI plugin do
// together: the kubelet always passes a uid or a name, so the group comes from
// runAsGroup, else from the image's /etc/passwd, else it is 0.
func setUser(ctx context.Context, s *specs.Spec, pod *corev1.PodSecurityContext, c *corev1.Container, imgUser string) error {
	if err := checkUserFiles(s.Root.Path); err != nil {
		return err
	}
	user := userString(effective(pod, c), imgUser)
	opts := []oci.SpecOpts{oci.WithUser(user.withGroup)}
	if pod == nil || pod.SupplementalGroupsPolicy == nil || *pod.SupplementalGroupsPolicy != corev1.SupplementalGroupsPolicyStrict {
		opts = append(opts, keepUser(oci.WithAdditionalGIDs(user.alone)))
	}
	if err := oci.ApplyOpts(ctx, nil, &containers.Container{}, s, opts...); err != nil {
		return err
	}
	for _, g := range supplementalGroups(pod) {
		if !containsGID(s.Process.User.AdditionalGids, g) {
			s.Process.User.AdditionalGids = append(s.Process.User.AdditionalGids, g)
		}
	}
	return nil
}

// checkUserFiles refuses an image whose user files are no files: to open a pipe
// would wait forever for someone who writes.
func checkUserFiles(root string) error {
	for _, name := range []string{"/etc/passwd", "/etc/group"} {
		file, err := securejoin.SecureJoin(root, name)
		if err != nil {
			return err
		}
		if st, err := os.Lstat(file); err == nil && !st.Mode().IsRegular() {
			return fmt.Errorf("the image's %s is not a regular file", name)
		}
	}
	return nil
}

// keepUser is here because WithAdditionalGIDs may leave the primary group out of
// the list when there is no /etc/group; the kernel's view must not depend on it.
func keepUser(o oci.SpecOpts) oci.SpecOpts {
	return func(ctx context.Context, cl oci.Client, c *containers.Container, s *specs.Spec) error {
		if err := o(ctx, cl, c, s); err != nil {
			return err
		}
		if !containsGID(s.Process.User.AdditionalGids, s.Process.User.GID) {
			s.Process.User.AdditionalGids = append([]uint32{s.Process.User.GID}, s.Process.User.AdditionalGids...)
		}
		return nil
	}
}

type userName struct{ alone, withGroup string }

// userString writes the user as the CRI plugin understands it.
func userString(sc *corev1.SecurityContext, imgUser string) userName {
	var u userName
	uid, name := imageUser(imgUser)
	switch {
	case sc.RunAsUser != nil:
		u.alone = strconv.FormatInt(*sc.RunAsUser, 10)
	case uid != nil:
		u.alone = strconv.FormatInt(*uid, 10)
	default:
		u.alone = name
	}
	u.withGroup = u.alone
	if sc.RunAsGroup != nil {
		u.withGroup += ":" + strconv.FormatInt(*sc.RunAsGroup, 10)
	}
	return u
}

// supplementalGroups are fsGroup and supplementalGroups, in the kubelet's order.
func supplementalGroups(pod *corev1.PodSecurityContext) []uint32 {
	if pod == nil {
		return nil
	}
	var gs []uint32
	if pod.FSGroup != nil {
		gs = append(gs, uint32(*pod.FSGroup))
	}
	for _, g := range pod.SupplementalGroups {
		gs = append(gs, uint32(g))
	}
	return gs
}

func containsGID(gs []uint32, g uint32) bool {
	for _, x := range gs {
		if x == g {
			return true
		}
	}
	return false
}
