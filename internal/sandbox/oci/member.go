package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/image"
	"road/internal/openshift"
	"road/internal/sandbox/oci/network"
	"road/internal/sandbox/oci/pod"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// memberOptions change how a pod is started. The zero value is a pod of the
// application that serves.
type memberOptions struct {
	spec   *corev1.PodSpec // instead of the workload's
	claims string          // directory of its volume claims, instead of the deployment's
	name   string          // instead of the one that its controller would give
	labels map[string]string
	image  *image.Image            // for every container, instead of the ones that spec names
	images map[string]*image.Image // by the names in spec, instead of the deployment's
	serves bool                    // it is one of the application's own, which are measured
	asks   bool                    // the cluster's API server is asked whether it admits the pod

	attach func(network.AttachOptions) (*network.Endpoint, error) // instead of a pod's place in the cluster
}

// start starts one pod of a workload.
func (d *deployment) start(ctx context.Context, w *app.Workload, index int, o memberOptions) (*member, error) {
	serial := d.e.next()
	m := &member{workload: w, index: index, name: o.name}
	if m.name == "" {
		m.name = podName(w, index, serial)
	}
	if o.spec == nil {
		o.spec = w.Pod
	}
	if o.claims == "" {
		o.claims = d.claims
	}
	if o.labels == nil {
		o.labels = controllerLabels(w, index, m.name)
	}
	m.labels = o.labels
	ns := w.Home()
	id := podID(m.name, serial)
	var err error
	if o.asks {
		if err = d.askForPod(ctx, m, ns, o); err != nil {
			return nil, err
		}
	}
	if m.users, err = d.e.users(o.spec, id); err != nil {
		return nil, err
	}
	if o.attach == nil {
		o.attach = d.e.net.Attach
	}
	if m.end, err = o.attach(network.AttachOptions{Name: fmt.Sprintf("p%d", serial), Namespace: ns, Labels: o.labels,
		Group: d.group, Ports: namedPorts(o.spec), NetNS: m.netNS()}); err != nil {
		return nil, errors.Join(err, m.closeUsers())
	}
	m.scratch = filepath.Join(d.e.w.Disk, "scratch", id)
	if err = os.MkdirAll(m.scratch, 0o777); err == nil {
		err = os.Chmod(m.scratch, 0o777) // as an emptyDir is, whatever the umask
	}
	if err == nil {
		m.pod, err = pod.Start(context.WithoutCancel(ctx), d.podOptions(m, id, ns, o))
	}
	if err != nil {
		return nil, errors.Join(err, m.end.Close(), m.closeUsers(), os.RemoveAll(m.scratch))
	}
	return m, nil
}

// podOptions gives a pod what it needs of the world.
func (d *deployment) podOptions(m *member, id, ns string, o memberOptions) pod.Options {
	meta := &metav1.ObjectMeta{Name: m.name, Namespace: ns, Labels: o.labels, Annotations: m.workload.Meta.Annotations}
	images := d.images
	if o.images != nil {
		images = o.images
	}
	if o.image != nil {
		images = map[string]*image.Image{}
		for _, c := range slices.Concat(o.spec.InitContainers, o.spec.Containers) {
			images[c.Image] = o.image
		}
	}
	w := d.e.w
	var measure func(string, pod.Peak)
	var trace *pod.Trace
	var opened func(string, pod.Open)
	var unseen func(string, error)
	if o.serves {
		trace = d.trace(m.workload.ID())
		opened = func(container string, o pod.Open) { d.opened(m.workload.ID(), container, o) }
		unseen = func(container string, err error) { d.unseen(m.workload.ID(), container, err) }
		measure = func(container string, p pod.Peak) { d.measured(m.workload.ID(), container, p) }
	}
	return pod.Options{
		ID: id, Name: m.name, Namespace: ns, Hostname: m.hostname(), IP: m.end.Addr(), NodeIP: network.NodeIP,
		Meta: meta, Spec: d.admitted(m, ns, o.spec), Images: images,
		NetNS: m.end.Path, UserNS: m.users, ResolvConf: network.ResolvConf(ns),
		Dir: filepath.Join(w.Run, "pods"), Disk: filepath.Join(w.Disk, "pods"),
		CgroupParent: d.node, RuncRoot: filepath.Join(w.Run, "runc"), Runtime: d.e.o.Runtime, HostProc: w.HostProc, HostPID: w.HostPID,
		Env: envVars(serviceEnv(d.services, ns, o.spec)), Sources: d.sources(m, ns, o),
		ProbePath: d.e.o.Probe, Scratch: m.scratch, Measure: measure, Opened: opened, Unseen: unseen,
		SeccompDirs: seccompDirs(d.app, m.workload), Trace: trace, Failures: failures(m.workload),
	}
}

// admitted gives the spec as the pod gets it from its controller and the API
// server. A StatefulSet's pod has its Service's name as its subdomain, and the
// volumes that the claim templates make: one claim per pod, named after both. A
// pod that does not say whether it wants the token of its service account gets
// what the account says. OpenShift gives it users.
func (d *deployment) admitted(m *member, ns string, spec *corev1.PodSpec) *corev1.PodSpec {
	spec = spec.DeepCopy()
	if d.app.Config.Target.OpenShift {
		openshift.Assign(spec)
	}
	if spec.AutomountServiceAccountToken == nil {
		spec.AutomountServiceAccountToken = automount(d.app, ns, accountOf(spec))
	}
	s, ok := m.workload.Typed.(*appsv1.StatefulSet)
	if !ok {
		return spec
	}
	if spec.Subdomain == "" {
		spec.Subdomain = s.Spec.ServiceName
	}
	for _, t := range claimTemplates(m.workload) {
		spec.Volumes = slices.DeleteFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == t })
		spec.Volumes = append(spec.Volumes, corev1.Volume{Name: t, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
				ClaimName: fmt.Sprintf("%s-%s-%d", t, m.workload.Name, m.index),
			},
		}})
	}
	return spec
}

// sources answers what the pod's volumes and variables refer to.
func (d *deployment) sources(m *member, ns string, o memberOptions) pod.Sources {
	account := accountOf(o.spec)
	return pod.Sources{
		Secret:    func(name string) (map[string][]byte, bool) { return secret(d.app, ns, name) },
		ConfigMap: func(name string) (map[string][]byte, bool) { return configMap(d.app, ns, name, d.e.issuer.ca) },
		Claim: func(name string) (string, error) {
			dir := filepath.Join(o.claims, ns+"."+name)
			if err := os.Mkdir(dir, 0o755); err == nil {
				return dir, os.Chmod(dir, 0o777) // as most provisioners make them
			} else if !errors.Is(err, os.ErrExist) {
				return "", err
			}
			return dir, nil
		},
		Token: func(audience string, seconds int64) (string, error) {
			return d.e.issuer.token(ns, account, m.name, audience, seconds)
		},
	}
}

// hostname is the pod's own, which it has below a headless Service too.
func (m *member) hostname() string {
	if m.workload.Pod.Hostname != "" {
		return m.workload.Pod.Hostname
	}
	return m.name
}

// podName names a pod as its controller would.
func podName(w *app.Workload, index, serial int) string {
	switch w.Kind {
	case "Pod":
		return w.Name
	case "StatefulSet":
		return fmt.Sprintf("%s-%d", w.Name, index)
	}
	return fmt.Sprintf("%s-%05x", cut(w.Name, 50), serial)
}

// podID gives a pod's id, which names its directories. The name is a manifest's,
// which may be anything; the number makes the id unique whatever is left of it.
func podID(name string, serial int) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	if clean = cut(strings.TrimLeft(clean, "-."), 50); clean == "" {
		clean = "pod"
	}
	return fmt.Sprintf("%s-%d", clean, serial)
}

// cut shortens s to n characters; what is left does not end in a dash or a dot.
func cut(s string, n int) string {
	return strings.TrimRight(s[:min(len(s), n)], "-.")
}

func envVars(env []string) []corev1.EnvVar {
	out := make([]corev1.EnvVar, len(env))
	for i, e := range env {
		out[i].Name, out[i].Value, _ = strings.Cut(e, "=")
	}
	return out
}

// outermost sorts directories and leaves out those below another. The root
// covers none: nothing can be put in its place.
func outermost(dirs []string) []string {
	slices.Sort(dirs)
	var out []string
	for _, d := range dirs {
		if n := len(out); n > 0 && (d == out[n-1] || out[n-1] != "/" && strings.HasPrefix(d, out[n-1]+"/")) {
			continue
		}
		out = append(out, d)
	}
	return out
}
