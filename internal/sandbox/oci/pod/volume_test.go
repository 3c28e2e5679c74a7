package pod

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

func vol(name string, src corev1.VolumeSource) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: src}
}

// volumes is a pod spec with one of each kind, mounted at /v/NAME.
func volumes() *corev1.PodSpec {
	ref := corev1.LocalObjectReference{Name: "settings"}
	spec := one(":sleep", "1m")
	spec.Volumes = []corev1.Volume{
		vol("empty", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}),
		vol("memory", corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory, SizeLimit: ptr(resource.MustParse("1Mi"))}}),
		vol("secret", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{SecretName: "db", DefaultMode: ptr(int32(0o400))}}),
		vol("config", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: ref, Items: []corev1.KeyToPath{{Key: "MODE", Path: "a/mode", Mode: ptr(int32(0o600))}}}}),
		vol("info", corev1.VolumeSource{DownwardAPI: &corev1.DownwardAPIVolumeSource{Items: []corev1.DownwardAPIVolumeFile{{Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"}}}}}),
		vol("claim", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}}),
		vol("host", corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}}),
		vol("image", corev1.VolumeSource{Image: &corev1.ImageVolumeSource{Reference: "test"}}),
		vol("nfs", corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{Server: "x", Path: "/"}}),
	}
	c := &spec.Containers[0]
	for _, v := range spec.Volumes {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: v.Name, MountPath: "/v/" + v.Name})
	}
	c.VolumeMounts = append(c.VolumeMounts,
		corev1.VolumeMount{Name: "config", MountPath: "/etc/mode.conf", SubPath: "a/mode"},
		corev1.VolumeMount{Name: "claim", MountPath: "/sub", SubPathExpr: "$(WHO)/logs"},
		corev1.VolumeMount{Name: "claim", MountPath: "/ro", ReadOnly: true})
	c.Env = []corev1.EnvVar{{Name: "WHO", Value: "me"}}
	return spec
}

// volumeOptions has the objects that volumes refers to; the claim holds one file.
func volumeOptions(t *testing.T, spec *corev1.PodSpec) (o Options, claim string) {
	t.Helper()
	o = newOptions(t, testImage(t, ocispec.ImageConfig{}, map[string]string{"srv/page": "hello"}), spec)
	claim = diskDir(t)
	if err := writeFile(filepath.Join(claim, "old"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	src := sourced(spec).o.Sources
	src.Claim = func(string) (string, error) { return claim, nil }
	src.Token = nil
	o.Sources = src
	return o, claim
}

func TestSandboxVolumes(t *testing.T) {
	need(t)
	o, claim := volumeOptions(t, volumes())
	p := launch(t, o)
	ready(t, p)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{":stat", "/v/empty", "/v/memory", "/v/secret/password", "/v/config/a/mode", "/v/info/labels", "/v/host"},
			"/v/empty 777 0:0\n/v/memory 1777 0:0\n/v/secret/password 400 0:0\n/v/config/a/mode 600 0:0\n/v/info/labels 644 0:0\n/v/host 755 0:0"},
		{[]string{":cat", "/v/secret/password", "/v/config/a/mode", "/etc/mode.conf", "/v/claim/old"}, "hunter2fastfastkept"},
		{[]string{":cat", "/v/info/labels"}, `app="web"`},
		{[]string{":cat", "/v/image/srv/page"}, "hello"},
		{[]string{":ls", "/v/host"}, ""},
		{[]string{":write", "/v/empty/x", "1", ":write", "/v/claim/new", "2", ":write", "/sub/log", "3", ":write", "/v/host/h", "4"},
			"wrote /v/empty/x\nwrote /v/claim/new\nwrote /sub/log\nwrote /v/host/h"},
		{[]string{":write", "/v/secret/x", "1", ":write", "/ro/x", "1", ":write", "/v/image/x", "1"},
			"write: open /v/secret/x: read-only file system\nwrite: open /ro/x: read-only file system\nwrite: open /v/image/x: read-only file system"},
	} {
		if got := run(t, p, c.args...); got != c.want {
			t.Errorf("%v:\n got %q\nwant %q", c.args, got, c.want)
		}
	}
	if got := run(t, p, ":ls", "/v/config"); !strings.HasPrefix(got, "..20") || !strings.HasSuffix(got, "..data\na") {
		t.Errorf("a ConfigMap's directory: %q", got)
	}
	notes := strings.Join(p.Notes(), "\n")
	for _, want := range []string{"volume host: hostPath /etc is an empty scratch directory", "volume nfs: its kind is not supported"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note %q in %q", want, notes)
		}
	}
	if w, err := p.Written(""); err != nil || len(w) != 0 {
		t.Errorf("volumes count as the root file system: %v, %v", w, err)
	}
	if err := p.Stop(0); err != nil {
		t.Fatal(err)
	}
	if got := read(t, claim, "new") + read(t, claim, "old") + read(t, claim, "me/logs/log"); got != "2kept3" {
		t.Errorf("the claim holds %q after the pod", got)
	}
	if b, err := os.ReadFile("/etc/h"); err == nil {
		t.Errorf("hostPath reached the host: %q", b)
	}
}

func TestSandboxFSGroup(t *testing.T) {
	need(t)
	spec := volumes()
	spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr(int64(1234)), RunAsGroup: ptr(int64(1234)), FSGroup: ptr(int64(70))}
	o, _ := volumeOptions(t, spec)
	p := launch(t, o)
	ready(t, p)
	got := run(t, p, ":stat", "/v/empty", "/v/memory", "/v/secret/password", "/v/claim", "/v/claim/old", "/v/host")
	want := "/v/empty 2777 0:70\n/v/memory 3777 0:70\n/v/secret/password 440 0:70\n/v/claim 2775 0:70\n/v/claim/old 660 0:70\n/v/host 755 0:0"
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if got := run(t, p, ":write", "/v/claim/new", "x", ":stat", "/v/claim/new"); got != "wrote /v/claim/new\n/v/claim/new 644 1234:70" {
		t.Errorf("a new file: %q", got)
	}
}

// A link in a volume must not lead a subPath out of it.
func TestSandboxSubPathStaysInside(t *testing.T) {
	need(t)
	for _, link := range []string{"/", "../../..", "/etc"} {
		spec := one(":sleep", "1m")
		spec.Volumes = []corev1.Volume{vol("claim", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"}})}
		spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "claim", MountPath: "/sub", SubPath: "out"}}
		o, claim := volumeOptions(t, spec)
		if err := os.Symlink(link, filepath.Join(claim, "out")); err != nil {
			t.Fatal(err)
		}
		p := launch(t, o)
		if err := p.Ready(within(t, 1e10)); err == nil || !strings.Contains(err.Error(), "failed to prepare subPath") {
			t.Errorf("link to %s: %v, sees %q", link, err, run(t, p, ":ls", "/sub"))
		}
	}
}

func TestSandboxServiceAccount(t *testing.T) {
	need(t)
	const dir = "/var/run/secrets/kubernetes.io/serviceaccount"
	for _, c := range []struct {
		name  string
		pod   corev1.PodSecurityContext
		off   bool
		token string
	}{
		{"plain", corev1.PodSecurityContext{}, false, "644 0:0"},
		{"one user", corev1.PodSecurityContext{RunAsUser: ptr(int64(1234))}, false, "600 1234:0"},
		{"fsGroup", corev1.PodSecurityContext{FSGroup: ptr(int64(70))}, false, "640 0:70"},
		{"not wanted", corev1.PodSecurityContext{}, true, ""},
	} {
		spec := one(":sleep", "1m")
		spec.SecurityContext = &c.pod
		if c.off {
			spec.AutomountServiceAccountToken = ptr(false)
		}
		o := newOptions(t, testImage(t, ocispec.ImageConfig{}, nil), spec)
		o.Sources = Sources{
			Token: func(_ string, seconds int64) (string, error) {
				if seconds != 3607 {
					t.Errorf("the token is asked for %d s", seconds)
				}
				return "signed", nil
			},
			ConfigMap: func(n string) (map[string][]byte, bool) {
				return map[string][]byte{"ca.crt": []byte("CA")}, n == "kube-root-ca.crt"
			},
		}
		p := launch(t, o)
		ready(t, p)
		if c.off {
			if got := run(t, p, ":ls", "/run"); got != "" {
				t.Errorf("%s: %q", c.name, got)
			}
			continue
		}
		// fsGroup opens the read-only volume by r alone: 0600 becomes 0640.
		got := run(t, p, ":stat", dir+"/token", ":cat", dir+"/token", dir+"/ca.crt", dir+"/namespace")
		if want := dir + "/token " + c.token + "\nsignedCAshop"; got != want {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, want)
		}
		if w, _ := p.Written(""); len(w) != 0 {
			t.Errorf("%s: its mount point was written to the upper layer: %v", c.name, w)
		}
		if spec.Containers[0].VolumeMounts != nil {
			t.Error("the caller's spec was changed")
		}
	}
}
