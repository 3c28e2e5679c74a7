package readonlyroot

import (
	"path"
	"strings"

	"road/internal/app"
	"road/internal/edit"
)

// below is where a copier has the volumes that it fills.
const below = "/copy"

// copier gives an init container that fills the volumes of c's directories with
// what the image has there: an emptyDir hides it. It is c's image and runs as c does.
//
// For a user other than root cp keeps no owner and no time: it may not, and a
// volume's own directory is not his.
func copier(c *app.Container, dirs []string, volumes map[string]string) edit.Map {
	m := edit.Map{{Key: "name", Value: copierName(c)}, {Key: "image", Value: c.Spec.Image}}
	if c.Spec.ImagePullPolicy != "" {
		m = append(m, edit.Field{Key: "imagePullPolicy", Value: string(c.Spec.ImagePullPolicy)})
	}
	var mounts []any
	var lines []string
	how := "-R"
	if mayBeRoot(c) {
		how = "-a"
	}
	command := []any{"cp", how}
	for _, dir := range dirs {
		to := path.Join(below, volumes[dir])
		mounts = append(mounts, edit.Map{{Key: "name", Value: volumes[dir]}, {Key: "mountPath", Value: to}})
		lines = append(lines, "cp "+how+" "+quote(dir+"/.")+" "+to+"/")
		command = append(command, dir+"/.", to+"/")
	}
	if len(dirs) > 1 {
		command = []any{"sh", "-c", strings.Join(lines, " && ")}
	}
	return append(m, edit.Field{Key: "command", Value: command},
		edit.Field{Key: "securityContext", Value: securityContext(c)},
		edit.Field{Key: "volumeMounts", Value: mounts})
}

// copierName names the init container, within what a name may be long.
func copierName(c *app.Container) string {
	name := "copy-for-" + c.Spec.Name
	for n := range c.Workload.Containers() {
		if n.Spec.Name == name {
			name = "road-" + name
		}
	}
	return strings.Trim(name[:min(len(name), 63)], "-")
}

// securityContext gives what the copier has of c's: the user.
func securityContext(c *app.Container) edit.Map {
	m := edit.Map{{Key: "readOnlyRootFilesystem", Value: true}}
	sc := c.Spec.SecurityContext
	if sc == nil {
		return m
	}
	if sc.RunAsGroup != nil {
		m = append(m, edit.Field{Key: "runAsGroup", Value: *sc.RunAsGroup})
	}
	if sc.RunAsUser != nil {
		m = append(m, edit.Field{Key: "runAsUser", Value: *sc.RunAsUser})
	}
	if sc.RunAsNonRoot != nil {
		m = append(m, edit.Field{Key: "runAsNonRoot", Value: *sc.RunAsNonRoot})
	}
	return m
}

// mayBeRoot says whether the manifest lets c run as root.
func mayBeRoot(c *app.Container) bool {
	var user *int64
	if sc := c.Workload.Pod.SecurityContext; sc != nil {
		user = sc.RunAsUser
	}
	if sc := c.Spec.SecurityContext; sc != nil && sc.RunAsUser != nil {
		user = sc.RunAsUser
	}
	return user == nil || *user == 0
}

// quote makes a path one word for a shell.
func quote(p string) string {
	if strings.Trim(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == "" {
		return p
	}
	return "'" + strings.ReplaceAll(p, "'", `'\''`) + "'"
}
