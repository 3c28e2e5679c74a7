package usernamespace

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"road/internal/probe"
	"road/internal/sandbox"
	"road/internal/step"

	corev1 "k8s.io/api/core/v1"
)

// The attack of this step asks what root in the pod would be worth, should he
// come back: the pod is made to run as root, whatever its manifest says, and
// leaves a file in a directory of the node's.
var attacks = []step.Attack{
	{
		Name:      "root-in-the-pod",
		Goal:      "own files of the node as its root, from a pod that runs as root",
		Transport: step.Code,
		Needs:     []sandbox.Power{sandbox.HostView, sandbox.CodeInside, sandbox.UserNamespaces},
		Run:       rootInThePod,
	},
}

// asRoot has every container of a pod run as root.
func asRoot(spec *corev1.PodSpec) {
	if spec.SecurityContext == nil {
		spec.SecurityContext = &corev1.PodSecurityContext{}
	}
	spec.SecurityContext.RunAsNonRoot = nil
	for _, list := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range list {
			if list[i].SecurityContext == nil {
				list[i].SecurityContext = &corev1.SecurityContext{}
			}
			sc := list[i].SecurityContext
			sc.RunAsUser, sc.RunAsGroup, sc.RunAsNonRoot = new(int64), new(int64), nil
		}
	}
}

// rootInThePod makes a file as the pod's root and has the node look at it.
func rootInThePod(ctx context.Context, s *sandbox.Scene) (out step.Outcome, err error) {
	if s.Volume == "" || s.Fresh == nil || s.Hold == nil {
		return step.Outcome{}, errors.New("the sandbox cannot make a pod that runs as root, or shares no volume with it")
	}
	// The server is not needed, and might not start as root.
	r, err := s.Fresh(ctx, asRoot, s.Hold)
	if err != nil {
		return step.Outcome{}, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var status string
	if err := r.Foothold.Code(ctx, probe.Status, nil, &status); err != nil {
		return step.Outcome{}, err
	}
	if uid := user(status); uid != "0" {
		return step.Outcome{}, fmt.Errorf("the pod was to run as root and runs as user %q", uid)
	}
	name := path.Join(r.Volume, "road-of-root")
	if err := r.Foothold.Code(ctx, probe.Write, probe.WriteArgs{Path: name, Data: []byte("root was here\n")}, nil); err != nil {
		return step.Outcome{}, err
	}
	f, err := r.Node.Stat(name)
	if err != nil {
		return step.Outcome{}, err
	}
	ps, err := r.Node.Processes()
	if err != nil {
		return step.Outcome{}, err
	}
	if len(ps) == 0 {
		return step.Outcome{}, errors.New("the node sees no process of the pod")
	}
	return judge(name, f, ps[0])
}

// user finds the effective user in the text of /proc/PID/status.
func user(status string) string {
	for line := range strings.Lines(status) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
			return f[2]
		}
	}
	return ""
}

// judge says what the owner of the file on the node means, and the user of the
// process: both are the node's root, or neither is anybody whom the node knows.
func judge(name string, f sandbox.File, p sandbox.Process) (step.Outcome, error) {
	out := step.Outcome{Evidence: "inside: uid 0\non the node: uid " + strconv.Itoa(p.UID) + " pid " + strconv.Itoa(p.PID) + " " + p.Command +
		"\non the node: " + step.Listing(name, f)}
	switch {
	case f.UID == 0 && p.UID == 0:
		out.Verdict = step.Succeeded
	case f.UID >= ids && p.UID == f.UID:
		out.Verdict = step.Blocked
	default:
		return step.Outcome{}, fmt.Errorf("the node sees the pod's root as user %d, and his file as user %d's", p.UID, f.UID)
	}
	return out, nil
}
