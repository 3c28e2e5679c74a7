package oci

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"road/internal/app"
	"road/internal/image"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// patience is how long what stands in for something may take to get ready.
const patience = 2 * time.Minute

// An outside is what stands in for what applications call and PATH lacks
// (road.yaml: services). There is one of each for all deployments, as there is
// one of the real ones: its data outlives the application's stops.
type outside struct {
	mu      sync.Mutex // held while they start
	started bool
	err     error // why they could not be
	d       *deployment
	members []*member

	names sync.Map // host name by netip.Addr
}

// host gives the name of what has an address, "" for everything else.
func (o *outside) host(a netip.Addr) string {
	name, _ := o.names.Load(a)
	s, _ := name.(string)
	return s
}

func (o *outside) close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.d == nil {
		return nil
	}
	var errs []error
	for _, m := range o.members {
		errs = append(errs, m.close(stopGrace))
	}
	return errors.Join(append(errs, o.d.leave(), os.RemoveAll(o.d.claims))...)
}

// unprepared gives those images that were never prepared: a stand-in is not made
// anew when its files change.
func (e *engine) unprepared(images []*app.Image) []*app.Image {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(images), func(i *app.Image) bool { return e.first[i.Name] != nil })
}

// standIn starts, at the first deployment of an application, whatever stands in
// for what it calls, and waits until all of it is ready.
func (e *engine) standIn(ctx context.Context, a *app.App) error {
	if len(a.Config.Services) == 0 {
		return nil
	}
	o := &e.outside
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.started {
		o.started = true
		o.err = e.startOutside(ctx, a)
	}
	return o.err
}

func (e *engine) startOutside(ctx context.Context, a *app.App) (err error) {
	o := &e.outside
	e.mu.Lock()
	images := e.prepared[a]
	e.mu.Unlock()
	o.d = &deployment{e: e, app: a, images: images, claims: filepath.Join(e.w.Disk, "claims", "outside")}
	if err := os.MkdirAll(o.d.claims, 0o711); err != nil {
		return err
	}
	if o.d.node, o.d.leave, err = e.w.NewNode("outside", 0, 0); err != nil {
		return err
	}
	for _, host := range slices.Sorted(maps.Keys(a.Config.Services)) {
		if err := o.d.standInFor(ctx, a.Config.Services[host]); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for _, m := range o.members {
		if err := o.d.memberReady(ctx, m); err != nil {
			var n *sandbox.NotReadyError
			if !errors.As(err, &n) {
				n = &sandbox.NotReadyError{Reason: fmt.Sprintf("not ready after %s", patience), Logs: m.pod.Logs("", 10)}
			}
			n.Workload = "what stands in for " + e.outside.host(m.end.IP)
			return n
		}
	}
	return nil
}

// standInFor starts one stand-in and gives it the name that it is called by.
func (d *deployment) standInFor(ctx context.Context, i *app.StandIn) error {
	w, im, err := d.double(i)
	if err != nil {
		return err
	}
	m, err := d.start(ctx, w, 0, memberOptions{name: i.Host, image: im, labels: w.Meta.Labels,
		attach: func(o network.AttachOptions) (*network.Endpoint, error) { return d.e.settle(i, o) }})
	if err != nil {
		return fmt.Errorf("service %s: %w", i.Host, err)
	}
	d.e.outside.members = append(d.e.outside.members, m)
	d.e.outside.names.Store(m.end.IP, i.Host)
	d.e.net.SetHost(i.Host, m.end.IP)
	return nil
}

// settle gives a stand-in its place: where the real one is, as far as road.yaml
// says.
func (e *engine) settle(i *app.StandIn, o network.AttachOptions) (*network.Endpoint, error) {
	if i.Namespace != "" {
		return e.net.Attach(o)
	}
	if i.Address == "" {
		return e.net.AttachOutside(o.Name)
	}
	addr, err := netip.ParseAddr(i.Address)
	if err != nil {
		return nil, err
	}
	return e.net.AttachAt(o.Name, addr)
}

// double makes the pod that stands in: that of a workload, as it came, or one of
// an image.
func (d *deployment) double(i *app.StandIn) (*app.Workload, *image.Image, error) {
	home := i.Namespace
	if home == "" && len(d.app.Workloads) > 0 {
		home = d.app.Workloads[0].Home() // for the Secrets that it names
	}
	double := &app.Workload{Object: &app.Object{Kind: "Pod", Name: i.Host, Namespace: home}, Meta: &metav1.ObjectMeta{Labels: i.Labels}}
	if i.Workload != "" {
		w := d.app.Workload(i.Workload)
		if w == nil {
			return nil, nil, fmt.Errorf("service %s: there is no workload %q", i.Host, i.Workload)
		}
		return d.again(double, w), nil, nil
	}
	im, err := d.firstImage(i.Image)
	if err != nil {
		return nil, nil, fmt.Errorf("service %s: %w", i.Host, err)
	}
	double.Pod = &corev1.PodSpec{
		AutomountServiceAccountToken: new(bool),
		EnableServiceLinks:           new(bool),
		Containers: []corev1.Container{{Name: "server", Image: i.Image, Command: i.Command, Args: i.Args, Env: variables(i.Env),
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, FailureThreshold: 1,
				ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(i.Port)}}},
		}},
	}
	return double, im, nil
}

// again has double run what w runs. The claims that w's templates would make are
// claims of the stand-in's own.
func (d *deployment) again(double, w *app.Workload) *app.Workload {
	double.Pod = w.Pod.DeepCopy()
	double.Namespace = w.Home()
	double.Pod.AutomountServiceAccountToken = new(bool)
	double.Pod.HostUsers = nil
	for _, t := range claimTemplates(w) {
		double.Pod.Volumes = append(double.Pod.Volumes, corev1.Volume{Name: t, VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: t}}})
	}
	return double
}

// variables gives what road.yaml has for a program's environment, by name.
func variables(env map[string]app.EnvValue) []corev1.EnvVar {
	var out []corev1.EnvVar
	for _, name := range slices.Sorted(maps.Keys(env)) {
		v := env[name]
		e := corev1.EnvVar{Name: name, Value: v.Value}
		if v.Secret != "" {
			e.ValueFrom = &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
				LocalObjectReference: corev1.LocalObjectReference{Name: v.Secret}, Key: v.Key}}
		}
		out = append(out, e)
	}
	return out
}
