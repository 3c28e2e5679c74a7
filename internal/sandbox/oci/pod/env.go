package pod

import (
	"fmt"
	"math"
	"regexp"
	"runtime"
	"sort"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// environment gives a container's variables as the kubelet passes them: envFrom,
// then env with $(NAME) replaced, then the service variables that neither of
// them set. The image's own variables are not seen by $(NAME).
func (p *Pod) environment(c *corev1.Container) ([]corev1.EnvVar, error) {
	services := map[string]string{}
	for _, e := range p.o.Env {
		services[e.Name] = e.Value
	}
	values := map[string]string{}
	var order []string
	set := func(name, value string) {
		if _, ok := values[name]; !ok {
			order = append(order, name)
		}
		values[name] = value
	}
	for _, from := range c.EnvFrom {
		data, err := p.envFrom(from)
		if err != nil {
			return nil, err
		}
		for _, k := range sortedKeys(data) {
			set(from.Prefix+k, string(data[k]))
		}
	}
	for _, e := range c.Env {
		value, ok, err := p.envValue(c, e, func(name string) (string, bool) {
			if v, ok := values[name]; ok {
				return v, true
			}
			v, ok := services[name]
			return v, ok
		})
		if err != nil {
			return nil, err
		}
		if ok {
			set(e.Name, value)
		}
	}
	var env []corev1.EnvVar
	for _, name := range order {
		env = append(env, corev1.EnvVar{Name: name, Value: values[name]})
	}
	for _, e := range p.o.Env {
		if _, ok := values[e.Name]; !ok {
			env = append(env, corev1.EnvVar{Name: e.Name, Value: e.Value})
		}
	}
	return env, nil
}

func (p *Pod) envFrom(from corev1.EnvFromSource) (map[string][]byte, error) {
	switch {
	case from.ConfigMapRef != nil:
		r := from.ConfigMapRef
		return p.object("configmap", r.Name, r.Optional)
	case from.SecretRef != nil:
		r := from.SecretRef
		return p.object("secret", r.Name, r.Optional)
	}
	return nil, nil
}

// object gives the data of a Secret or ConfigMap; an optional one that is missing
// is empty.
func (p *Pod) object(kind, name string, optional *bool) (map[string][]byte, error) {
	get := p.o.Sources.Secret
	if kind == "configmap" {
		get = p.o.Sources.ConfigMap
	}
	if get != nil {
		if data, ok := get(name); ok {
			return data, nil
		}
	}
	if optional != nil && *optional {
		return nil, nil
	}
	return nil, fmt.Errorf("%s %q not found", kind, name)
}

// envValue gives one variable; not ok means that an optional source is missing.
func (p *Pod) envValue(c *corev1.Container, e corev1.EnvVar, lookup func(string) (string, bool)) (string, bool, error) {
	if e.ValueFrom == nil {
		return expand(e.Value, lookup), true, nil
	}
	switch f := e.ValueFrom; {
	case f.FieldRef != nil:
		v, err := p.field(f.FieldRef.FieldPath)
		return v, err == nil, err
	case f.ResourceFieldRef != nil:
		v, err := p.resourceField(c, f.ResourceFieldRef)
		return v, err == nil, err
	case f.ConfigMapKeyRef != nil:
		r := f.ConfigMapKeyRef
		return p.objectKey("configmap", "ConfigMap", r.Name, r.Key, r.Optional)
	case f.SecretKeyRef != nil:
		r := f.SecretKeyRef
		return p.objectKey("secret", "Secret", r.Name, r.Key, r.Optional)
	}
	return "", false, fmt.Errorf("environment variable %s: valueFrom is not supported", e.Name)
}

func (p *Pod) objectKey(kind, title, name, key string, optional *bool) (string, bool, error) {
	data, err := p.object(kind, name, optional)
	if err != nil {
		return "", false, err
	}
	if v, ok := data[key]; ok {
		return string(v), true, nil
	}
	if optional != nil && *optional {
		return "", false, nil
	}
	return "", false, fmt.Errorf("couldn't find key %s in %s %s/%s", key, title, p.o.Namespace, name)
}

// expand replaces $(NAME) by what lookup knows and leaves it where lookup does
// not; $$ is a plain $.
func expand(s string, lookup func(string) (string, bool)) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '$' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch end := strings.IndexByte(s[i:], ')'); {
		case s[i+1] == '$':
			b.WriteByte('$')
			i++
		case s[i+1] == '(' && end > 0:
			if v, ok := lookup(s[i+2 : i+end]); ok {
				b.WriteString(v)
			} else {
				b.WriteString(s[i : i+end+1])
			}
			i += end
		default:
			b.WriteByte('$')
		}
	}
	return b.String()
}

// arguments gives what the container runs: command replaces the image's
// entrypoint and with it the image's arguments.
func arguments(c *corev1.Container, env []corev1.EnvVar, entrypoint, cmd []string) ([]string, error) {
	values := map[string]string{}
	for _, e := range env {
		values[e.Name] = e.Value
	}
	all := func(ss []string) (out []string) {
		for _, s := range ss {
			out = append(out, expand(s, func(n string) (string, bool) { v, ok := values[n]; return v, ok }))
		}
		return out
	}
	command, args := all(c.Command), all(c.Args)
	if len(command) == 0 {
		if len(args) == 0 {
			args = cmd
		}
		if command = entrypoint; len(command) == 1 && command[0] == "" {
			command = nil
		}
	}
	if command = append(append([]string(nil), command...), args...); len(command) == 0 {
		return nil, fmt.Errorf("no command specified")
	}
	return command, nil
}

// keyed matches metadata.labels['key'] and metadata.annotations['key'].
var keyed = regexp.MustCompile(`^metadata\.(labels|annotations)\['(.*)'\]$`)

// field gives a value of the pod for the downward API.
func (p *Pod) field(path string) (string, error) {
	if m := keyed.FindStringSubmatch(path); m != nil {
		if m[1] == "labels" {
			return p.o.Meta.Labels[m[2]], nil
		}
		return p.o.Meta.Annotations[m[2]], nil
	}
	switch path {
	case "metadata.name":
		return p.o.Name, nil
	case "metadata.namespace":
		return p.o.Namespace, nil
	case "metadata.uid":
		return p.uid, nil
	case "metadata.labels":
		return formatMap(p.o.Meta.Labels), nil
	case "metadata.annotations":
		return formatMap(p.o.Meta.Annotations), nil
	case "spec.nodeName":
		return p.o.NodeName, nil
	case "spec.serviceAccountName":
		return first(p.spec.ServiceAccountName, "default"), nil
	case "status.podIP", "status.podIPs":
		return p.o.IP, nil
	case "status.hostIP", "status.hostIPs":
		return p.o.NodeIP, nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %s", path)
}

// formatMap writes labels as a downward API file shows them.
func formatMap(m map[string]string) string {
	var lines []string
	for k, v := range m {
		lines = append(lines, k+"="+strconv.Quote(v))
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

// resourceField gives a limit or request, rounded up in units of the divisor. A
// missing limit is what the node has.
func (p *Pod) resourceField(c *corev1.Container, r *corev1.ResourceFieldSelector) (string, error) {
	if r.ContainerName != "" && r.ContainerName != c.Name {
		other, err := p.container(r.ContainerName)
		if err != nil {
			return "", err
		}
		c = other.spec
	}
	kind, name, _ := strings.Cut(r.Resource, ".")
	if kind != "limits" && kind != "requests" || name == "" {
		return "", fmt.Errorf("unsupported container resource: %s", r.Resource)
	}
	q, ok := amount(c, corev1.ResourceName(name), kind == "requests")
	if !ok && kind == "limits" {
		switch corev1.ResourceName(name) {
		case corev1.ResourceCPU:
			q = *resource.NewQuantity(int64(runtime.NumCPU()), resource.DecimalSI)
		case corev1.ResourceMemory:
			q = *resource.NewQuantity(memoryCapacity(), resource.BinarySI)
		}
	}
	divisor := r.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == string(corev1.ResourceCPU) {
		return strconv.FormatInt(int64(math.Ceil(float64(q.MilliValue())/float64(divisor.MilliValue()))), 10), nil
	}
	return strconv.FormatInt(int64(math.Ceil(float64(q.Value())/float64(divisor.Value()))), 10), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
