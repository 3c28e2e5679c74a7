package pod

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

// A file is one file of a Secret, ConfigMap, downward API or projected volume.
type file struct {
	data []byte
	mode uint32
	user *int64 // owner, nil for root
}

// payload collects the files of a volume, by their paths in it.
func (p *Pod) payload(v *corev1.Volume) (map[string]file, error) {
	files := map[string]file{}
	switch s := v.VolumeSource; {
	case s.Secret != nil:
		data, err := p.object("secret", s.Secret.SecretName, s.Secret.Optional)
		if err != nil {
			return nil, err
		}
		return files, project(files, data, s.Secret.Items, mode(s.Secret.DefaultMode), s.Secret.Optional)
	case s.ConfigMap != nil:
		data, err := p.object("configmap", s.ConfigMap.Name, s.ConfigMap.Optional)
		if err != nil {
			return nil, err
		}
		return files, project(files, data, s.ConfigMap.Items, mode(s.ConfigMap.DefaultMode), s.ConfigMap.Optional)
	case s.DownwardAPI != nil:
		return files, p.downward(files, s.DownwardAPI.Items, mode(s.DownwardAPI.DefaultMode))
	}
	for _, src := range v.Projected.Sources {
		if err := p.projection(v.Name, files, src, mode(v.Projected.DefaultMode)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// projection adds one source of a projected volume.
func (p *Pod) projection(volume string, files map[string]file, src corev1.VolumeProjection, m uint32) error {
	switch {
	case src.Secret != nil:
		data, err := p.object("secret", src.Secret.Name, src.Secret.Optional)
		if err != nil {
			return err
		}
		return project(files, data, src.Secret.Items, m, src.Secret.Optional)
	case src.ConfigMap != nil:
		data, err := p.object("configmap", src.ConfigMap.Name, src.ConfigMap.Optional)
		if err != nil {
			return err
		}
		return project(files, data, src.ConfigMap.Items, m, src.ConfigMap.Optional)
	case src.DownwardAPI != nil:
		return p.downward(files, src.DownwardAPI.Items, m)
	case src.ServiceAccountToken != nil:
		return p.token(files, src.ServiceAccountToken, m)
	}
	p.note("volume %s: a source of its projection is not supported and left out", volume)
	return nil
}

// mode is a volume's defaultMode, 0644 where it has none.
func mode(m *int32) uint32 {
	if m == nil {
		return 0o644
	}
	return uint32(*m)
}

// project adds all keys of data, or the items that are asked for.
func project(files map[string]file, data map[string][]byte, items []corev1.KeyToPath, m uint32, optional *bool) error {
	if len(items) == 0 {
		for _, k := range sortedKeys(data) {
			if err := checkKey(k); err != nil {
				return err
			}
			files[k] = file{data: data[k], mode: m}
		}
		return nil
	}
	for _, it := range items {
		v, ok := data[it.Key]
		if !ok {
			if optional != nil && *optional {
				continue
			}
			return fmt.Errorf("references non-existent config key: %s", it.Key)
		}
		f := file{data: v, mode: m}
		if it.Mode != nil {
			f.mode = uint32(*it.Mode)
		}
		if err := checkPath(it.Path); err != nil {
			return err
		}
		files[filepath.Clean(it.Path)] = f
	}
	return nil
}

// checkPath refuses what the API server refuses in a file's path.
func checkPath(name string) error {
	if !filepath.IsLocal(name) || strings.HasPrefix(name, "..") {
		return fmt.Errorf("invalid path %q: must be relative and not start with '..'", name)
	}
	return nil
}

func (p *Pod) downward(files map[string]file, items []corev1.DownwardAPIVolumeFile, m uint32) error {
	for _, it := range items {
		if err := checkPath(it.Path); err != nil {
			return err
		}
		f := file{mode: m}
		if it.Mode != nil {
			f.mode = uint32(*it.Mode)
		}
		var value string
		var err error
		switch {
		case it.FieldRef != nil:
			value, err = p.field(it.FieldRef.FieldPath)
		case it.ResourceFieldRef != nil:
			value, err = p.resourceField(&p.spec.Containers[0], it.ResourceFieldRef)
		}
		if err != nil {
			return err
		}
		f.data = []byte(value)
		files[filepath.Clean(it.Path)] = f
	}
	return nil
}

// token adds a service account token. It is for its user alone where all
// containers run as one user or the pod has an fsGroup, whose ownership then
// opens it to the group.
func (p *Pod) token(files map[string]file, s *corev1.ServiceAccountTokenProjection, m uint32) error {
	if p.o.Sources.Token == nil {
		return fmt.Errorf("service account token: there is no token issuer")
	}
	seconds := int64(3600)
	if s.ExpirationSeconds != nil {
		seconds = *s.ExpirationSeconds
	}
	t, err := p.o.Sources.Token(s.Audience, seconds)
	if err != nil {
		return fmt.Errorf("service account token: %w", err)
	}
	if err := checkPath(s.Path); err != nil {
		return err
	}
	f := file{data: []byte(t), mode: m, user: p.oneUser()}
	if sc := p.spec.SecurityContext; f.user != nil || sc != nil && sc.FSGroup != nil {
		f.mode = 0o600
	}
	files[filepath.Clean(s.Path)] = f
	return nil
}

// oneUser is the runAsUser that all containers share, nil where one has none or
// another.
func (p *Pod) oneUser() *int64 {
	var user *int64
	for _, c := range append(append([]corev1.Container(nil), p.spec.InitContainers...), p.spec.Containers...) {
		u := effective(p.spec.SecurityContext, &c).RunAsUser
		if u == nil || user != nil && *user != *u {
			return nil
		}
		user = u
	}
	return user
}

// payloadVolume writes files the way the kubelet does, so that a program finds
// the links it would find in a cluster: NAME -> ..data/NAME, and ..data -> a
// directory named after the time.
func (p *Pod) payloadVolume(v *corev1.Volume, files map[string]file) (*volume, error) {
	// Secrets lie in memory in a cluster; here the pod's directory is a tmpfs, and
	// ConfigMaps are no worse off there.
	dir := filepath.Join(p.dir, "volumes", v.Name)
	if err := mkdir(filepath.Dir(dir), 0o711); err != nil {
		return nil, err
	}
	root := os.FileMode(0o777)
	if v.ConfigMap == nil {
		root |= os.ModeSticky // the root of a tmpfs
	}
	if err := mkdir(dir, root); err != nil {
		return nil, err
	}
	stamp := time.Now().UTC().Format("..2006_01_02_15_04_05.") + fmt.Sprintf("%09d", time.Now().Nanosecond())
	if err := mkdir(filepath.Join(dir, stamp), 0o755); err != nil {
		return nil, err
	}
	if err := os.Symlink(stamp, filepath.Join(dir, "..data")); err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(files) {
		if err := writePayload(dir, stamp, name, files[name]); err != nil {
			return nil, err
		}
	}
	vol := &volume{path: dir, readOnly: true}
	return vol, p.own(vol, true)
}

func writePayload(dir, stamp, name string, f file) error {
	full := filepath.Join(dir, stamp, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(full, f.data, 0o600); err != nil {
		return err
	}
	if f.user != nil {
		if err := os.Chown(full, int(*f.user), -1); err != nil {
			return err
		}
	}
	if err := unix.Chmod(full, f.mode&0o7777); err != nil {
		return err
	}
	top, _, _ := strings.Cut(name, "/")
	err := os.Symlink(filepath.Join("..data", top), filepath.Join(dir, top))
	if os.IsExist(err) {
		return nil
	}
	return err
}

// tokenSeconds is how long a service account token that the API server asks for
// by itself holds.
const tokenSeconds = 3607

// serviceAccountDir is where a pod finds its service account.
const serviceAccountDir = "/var/run/secrets/kubernetes.io/serviceaccount"

// addServiceAccount does what the API server's admission does: it adds the
// projected volume of the service account and mounts it in every container that
// has nothing there, unless the pod does not want it. The ConfigMap
// kube-root-ca.crt must come from Sources.
func (p *Pod) addServiceAccount() {
	if p.o.Sources.Token == nil || p.spec.AutomountServiceAccountToken != nil && !*p.spec.AutomountServiceAccountToken {
		return
	}
	name := "kube-api-access-" + strings.ReplaceAll(p.uid, "-", "")[:5]
	mounted := false
	mount := func(cs []corev1.Container) {
		for i := range cs {
			if hasMount(&cs[i], serviceAccountDir) {
				continue
			}
			mounted = true
			cs[i].VolumeMounts = append(cs[i].VolumeMounts, corev1.VolumeMount{Name: name, ReadOnly: true, MountPath: serviceAccountDir})
		}
	}
	mount(p.spec.InitContainers)
	mount(p.spec.Containers)
	if !mounted {
		return
	}
	seconds, m := int64(tokenSeconds), int32(0o644)
	p.spec.Volumes = append(p.spec.Volumes, corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{
		Projected: &corev1.ProjectedVolumeSource{DefaultMode: &m, Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &seconds, Path: "token"}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "namespace", FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: "metadata.namespace"}},
			}}},
		}},
	}})
}

func hasMount(c *corev1.Container, path string) bool {
	for _, m := range c.VolumeMounts {
		if filepath.Clean(m.MountPath) == path {
			return true
		}
	}
	return false
}
