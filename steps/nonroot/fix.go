package nonroot

import (
	"fmt"
	"reflect"
	"slices"

	"road/internal/app"
	"road/internal/edit"
	"road/internal/step"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// fix writes the user into Dockerfiles and pods.
func fix(a *app.App) ([]edit.Edit, error) {
	for _, w := range a.Workloads {
		var c choice
		if err := a.Config.Choice(name, w, &c); err != nil {
			return nil, err
		}
		if isZero(c.User) || isZero(c.ImageUser) {
			return nil, fmt.Errorf("%s: steps: %s: %s: user 0 is root", a.Config.File, name, w.Name)
		}
	}
	var edits []edit.Edit
	for _, b := range builds(a) {
		edits = append(edits, fixImage(a, b)...)
	}
	for _, w := range a.Workloads {
		edits = append(edits, fixPod(a, w)...)
	}
	return edits, nil
}

// A target is the user that a container is to run as.
type target struct {
	uid, gid  int64 // gid -1: as the image has it
	ok        bool  // false where only a run can tell
	fromImage bool  // the image says so itself, so the manifest need not
}

// targetOf finds the user for c: the one chosen in road.yaml, the one of its
// image, or the service user.
func targetOf(a *app.App, c *app.Container) target {
	w, img := c.Workload, a.Image(c.Spec.Image)
	ch := choiceOf(a, w)
	u := user{kind: unknownUser, gid: -1}
	if img != nil {
		u = userOf(a, img)
	}
	front := len(w.Pod.Containers) > 0 && w.Pod.Containers[0].Image == c.Spec.Image
	known := u.kind == numericUser || u.kind == namedUser
	switch {
	case ch.User != nil && (front || !known):
		t := target{uid: *ch.User, gid: *ch.User, ok: true}
		if img != nil {
			if acc := accountsOf(a, img).byUID(int(t.uid)); acc != nil {
				t.gid = int64(acc.GID)
			}
		}
		return t.withGroup(ch)
	case known:
		return target{u.uid, u.gid, true, u.kind == numericUser && !u.hasGroup}.withGroup(ch)
	case u.kind == unclearUser || img == nil:
		return target{}
	case u.kind == unknownUser:
		return target{uid: nobodyInParticular, gid: nobodyInParticular, ok: true}.withGroup(ch)
	}
	uid, gid := serviceUser(a, img)
	return target{uid: uid, gid: gid, ok: true}.withGroup(ch)
}

func (t target) withGroup(c choice) target {
	if c.Group != nil {
		t.gid, t.fromImage = *c.Group, false
	}
	return t
}

// resolvable says whether the user of every container of w that needs one is
// known without a run.
func resolvable(a *app.App, w *app.Workload) bool {
	pod := podContext(w)
	for c := range w.Containers() {
		if assigned(a) {
			return true
		}
		own := containerContext(c)
		given := own.RunAsUser != nil && *own.RunAsUser > 0 || own.RunAsUser == nil && pod.RunAsUser != nil && *pod.RunAsUser > 0
		if !given && !targetOf(a, c).ok {
			return false
		}
	}
	return true
}

// fixPod gives the edits of one workload's manifest, none where it is right
// already or only a run can tell its user.
func fixPod(a *app.App, w *app.Workload) []edit.Edit {
	if len(w.Pod.Containers) == 0 || len(checkPod(a, w)) == 0 || !resolvable(a, w) {
		return nil
	}
	sc := podContext(w)
	pod, containers := podFields(a, w)
	var edits []edit.Edit
	at := w.PodPath.Join("securityContext")
	set := func(path app.Path, value any, before string) {
		edits = append(edits, edit.Edit{File: w.File, Set: &edit.Set{Doc: w.Doc, Path: path, Value: value, Before: before}})
	}
	switch {
	case len(pod) == 0:
	case reflect.DeepEqual(sc, corev1.PodSecurityContext{}):
		set(at, pod, step.FirstList(w))
	default:
		for _, f := range pod {
			if f.Key == "sysctls" && len(sc.Sysctls) > 0 {
				set(at.Join("sysctls", len(sc.Sysctls)), f.Value.([]any)[0], "")
				continue
			}
			set(at.Join(f.Key), f.Value, "")
		}
	}
	if assigned(a) {
		edits = append(edits, takeOut(w)...)
	}
	for _, c := range containers {
		at := c.Path.Join("securityContext")
		if c.Spec.SecurityContext == nil {
			set(at, c.fields, "")
			continue
		}
		for _, f := range c.fields {
			set(at.Join(f.Key), f.Value, "")
		}
	}
	return edits
}

// containerFields are what one container's security context gets.
type containerFields struct {
	*app.Container
	fields edit.Map
}

// podFields gives the keys that the pod's security context and those of its
// containers lack or have wrong.
func podFields(a *app.App, w *app.Workload) (edit.Map, []containerFields) {
	sc := podContext(w)
	nobody := w.Pod.OS != nil && w.Pod.OS.Name == corev1.Windows || assigned(a) // is named here
	front, inherits := frontTarget(a, w)
	writeUser := !nobody && (isZero(sc.RunAsUser) || sc.RunAsUser == nil && inherits)
	podUser := sc.RunAsUser
	var pod edit.Map
	if writeUser {
		podUser = &front.uid
		if sc.RunAsGroup == nil && front.gid >= 0 {
			pod = append(pod, edit.Field{Key: "runAsGroup", Value: front.gid})
		}
		pod = append(pod, edit.Field{Key: "runAsUser", Value: front.uid})
	}
	var containers []containerFields
	unset := false
	for c := range w.Containers() {
		own := containerContext(c)
		unset = unset || own.RunAsNonRoot == nil
		var f edit.Map
		t := targetOf(a, c)
		if !nobody && (isZero(own.RunAsUser) || own.RunAsUser == nil && writeUser && t.uid != *podUser) {
			f = append(f, edit.Field{Key: "runAsUser", Value: t.uid})
			if own.RunAsGroup == nil && t.gid >= 0 && t.gid != front.gid && !isZero(own.RunAsUser) {
				f = append(edit.Map{{Key: "runAsGroup", Value: t.gid}}, f...)
			}
		}
		if isFalse(own.RunAsNonRoot) {
			f = append(f, edit.Field{Key: "runAsNonRoot", Value: true})
		}
		if len(f) > 0 {
			containers = append(containers, containerFields{c, f})
		}
	}
	if isFalse(sc.RunAsNonRoot) || sc.RunAsNonRoot == nil && unset {
		pod = append(pod, edit.Field{Key: "runAsNonRoot", Value: true})
	}
	switch {
	case assigned(a):
		pod = append(pod, volumeAndPortFields(a, w, -1)...)
	case !nobody:
		pod = append(pod, volumeAndPortFields(a, w, front.gid)...)
	}
	return pod, containers
}

// frontTarget gives the user for the pod: that of the first normal container
// which takes its user from the pod. The second value is false where no such
// container needs one, because the images say it themselves.
func frontTarget(a *app.App, w *app.Workload) (target, bool) {
	var front *target
	inherits := false
	for c := range w.Containers() {
		if containerContext(c).RunAsUser != nil {
			continue
		}
		t := targetOf(a, c)
		if front == nil || c.Kind == app.Normal && c.Index == 0 {
			front = &t
		}
		inherits = inherits || !t.fromImage
	}
	if front == nil {
		for c := range w.Containers() {
			if t := targetOf(a, c); front == nil || c.Kind == app.Normal && c.Index == 0 {
				front = &t
			}
		}
	}
	return *front, inherits
}

// volumeAndPortFields gives what a user other than root needs besides: a group
// that may write to the pod's claims and read its closed files, and ports below
// 1024 where it listens on one.
func volumeAndPortFields(a *app.App, w *app.Workload, gid int64) edit.Map {
	sc := podContext(w)
	var f edit.Map
	if sc.FSGroup == nil && gid >= 0 && needsGroup(w) {
		f = append(f, edit.Field{Key: "fsGroup", Value: gid})
	}
	if !w.Pod.HostNetwork && lowPort(a, w) && !slices.ContainsFunc(sc.Sysctls, func(s corev1.Sysctl) bool { return s.Name == portSysctl }) {
		f = append(f, edit.Field{Key: "sysctls", Value: []any{edit.Map{{Key: "name", Value: portSysctl}, {Key: "value", Value: "0"}}}})
	}
	return f
}

// portSysctl lets every user listen on ports below 1024 of the pod's own
// network. Pod Security "restricted" allows it.
const portSysctl = "net.ipv4.ip_unprivileged_port_start"

// needsGroup says whether the pod has volumes that root owns on a node: claims,
// and files with a mode that shuts others out. An emptyDir is open to everyone.
func needsGroup(w *app.Workload) bool {
	closed := func(mode *int32) bool { return mode != nil && *mode&0o004 == 0 }
	for _, v := range w.Pod.Volumes {
		switch {
		case v.PersistentVolumeClaim != nil && !v.PersistentVolumeClaim.ReadOnly, v.Ephemeral != nil:
			return true
		case v.CSI != nil && (v.CSI.ReadOnly == nil || !*v.CSI.ReadOnly):
			return true
		case v.Secret != nil && closed(v.Secret.DefaultMode), v.ConfigMap != nil && closed(v.ConfigMap.DefaultMode), v.Projected != nil && closed(v.Projected.DefaultMode):
			return true
		}
	}
	set, ok := w.Typed.(*appsv1.StatefulSet)
	return ok && len(set.Spec.VolumeClaimTemplates) > 0
}
