package readonlyroot

import (
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/edit"

	corev1 "k8s.io/api/core/v1"
)

// below is where a copier has the volume that it fills.
const below = "/copy"

// copiers give an init container for each of c's directories that fills its volume
// with what the image has there: an emptyDir hides it. It is c's image and runs as
// c does, under the same rules and limits, and runs nothing but cp: no shell.
//
// Who may give no file away, as a user other than root, has cp keep no owner and no
// time: a volume's own directory is not his.
func copiers(a *app.App, c *app.Container, dirs []string, volumes map[string]string) []edit.Map {
	how := "-R"
	if mayBeRoot(a, c) && mayChown(c) {
		how = "-a"
	}
	var out []edit.Map
	for i, dir := range dirs {
		m := edit.Map{{Key: "name", Value: copierName(c, i)}, {Key: "image", Value: c.Spec.Image}}
		if c.Spec.ImagePullPolicy != "" {
			m = append(m, edit.Field{Key: "imagePullPolicy", Value: string(c.Spec.ImagePullPolicy)})
		}
		to := path.Join(below, volumes[dir])
		m = append(m, edit.Field{Key: "command", Value: []any{"cp", how, dir + "/.", to + "/"}})
		if r := plain(c.Spec.Resources); len(r) > 0 {
			m = append(m, edit.Field{Key: "resources", Value: ordered(r)})
		}
		out = append(out, append(m, edit.Field{Key: "securityContext", Value: securityContext(c)},
			edit.Field{Key: "volumeMounts", Value: []any{edit.Map{{Key: "name", Value: volumes[dir]}, {Key: "mountPath", Value: to}}}}))
	}
	return out
}

// copierName names the init container of c's i-th directory, within what a name
// may be long.
func copierName(c *app.Container, i int) string {
	end := ""
	if i > 0 {
		end = fmt.Sprintf("-%d", i+1)
	}
	start := "copy-for-" + c.Spec.Name
	for n := range c.Workload.Containers() {
		if n.Spec.Name == start+end {
			start = "road-" + start
		}
	}
	return strings.Trim(start[:min(len(start), 63-len(end))], "-") + end
}

// securityContext gives the copier what c has, but for a power that none needs who
// copies: whatever forbids c's pod less forbids it too.
func securityContext(c *app.Container) edit.Map {
	m := plain(c.Spec.SecurityContext)
	delete(m, "privileged")
	delete(m, "procMount")
	m["readOnlyRootFilesystem"] = true
	return ordered(m)
}

// plain gives a part of a manifest as it would be written.
func plain(v any) map[string]any {
	m := map[string]any{}
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil || m == nil {
		return map[string]any{} // a nil pointer; every other value of the API's is an object
	}
	return m
}

// ordered gives the same with its keys in order, and its whole numbers as such.
func ordered(m map[string]any) edit.Map {
	var out edit.Map
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		switch t := v.(type) {
		case map[string]any:
			v = ordered(t)
		case float64:
			v = int64(t) // users and groups
		}
		out = append(out, edit.Field{Key: k, Value: v})
	}
	return out
}

// mayBeRoot says whether c runs as root, as far as the manifest and its image say.
func mayBeRoot(a *app.App, c *app.Container) bool {
	user, never := c.RunAs()
	switch {
	case user != nil:
		return *user == 0
	case never != nil && *never:
		return false
	}
	name, _, _ := strings.Cut(a.Seen.Images[c.Spec.Image].User, ":")
	return name == "" || name == "0" || name == "root"
}

// mayChown says whether c has the capability to give files away, where it is root.
func mayChown(c *app.Container) bool {
	const chown = "CHOWN"
	sc := c.Spec.SecurityContext
	if sc == nil || sc.Capabilities == nil {
		return true
	}
	has := func(list []corev1.Capability, name string) bool {
		return slices.ContainsFunc(list, func(n corev1.Capability) bool { return strings.TrimPrefix(string(n), "CAP_") == name })
	}
	dropped := has(sc.Capabilities.Drop, "ALL") && !has(sc.Capabilities.Add, "ALL") && !has(sc.Capabilities.Add, chown)
	return !dropped && !has(sc.Capabilities.Drop, chown)
}
