package pod

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestExpand(t *testing.T) {
	lookup := func(n string) (string, bool) { v, ok := map[string]string{"A": "1", "B": "$(A)"}[n]; return v, ok }
	for in, want := range map[string]string{
		"plain": "plain", "$(A)": "1", "x$(A)y": "x1y", "$$(A)": "$(A)", "$(C)": "$(C)", "$(B)": "$(A)",
		"$": "$", "$A": "$A", "$(A": "$(A", "a$$b": "a$b", "$(A)$(A)": "11", "$$$(A)": "$1", "": "",
	} {
		if got := expand(in, lookup); got != want {
			t.Errorf("expand(%q) = %q, want %q", in, got, want)
		}
	}
}

// sourced is bare with objects to refer to.
func sourced(spec *corev1.PodSpec) *Pod {
	p := bare(spec)
	p.o.Meta = &metav1.ObjectMeta{Labels: map[string]string{"app": "web", "tier": "front"}, Annotations: map[string]string{"a/b": "x"}}
	p.o.Sources = Sources{
		Secret: func(n string) (map[string][]byte, bool) {
			return map[string][]byte{"password": []byte("hunter2"), "user": []byte("u")}, n == "db"
		},
		ConfigMap: func(n string) (map[string][]byte, bool) {
			return map[string][]byte{"MODE": []byte("fast"), "LEVEL": []byte("info")}, n == "settings"
		},
		Token: func(audience string, seconds int64) (string, error) { return "token-for-" + audience, nil },
	}
	p.o.Env = []corev1.EnvVar{{Name: "KUBERNETES_SERVICE_HOST", Value: "10.96.0.1"}, {Name: "DB_SERVICE_HOST", Value: "10.96.0.9"}}
	return p
}

func TestEnvironment(t *testing.T) {
	key := func(name, key string, optional *bool) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: name}, Key: key, Optional: optional}}
	}
	c := &corev1.Container{
		Name: "web",
		EnvFrom: []corev1.EnvFromSource{
			{Prefix: "CFG_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "settings"}}},
			{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "none"}, Optional: ptr(true)}},
		},
		Env: []corev1.EnvVar{
			{Name: "PASS", ValueFrom: key("db", "password", nil)},
			{Name: "URL", Value: "redis://:$(PASS)@$(DB_SERVICE_HOST)/$(LATER)$$"},
			{Name: "LATER", Value: "x"},
			{Name: "CFG_MODE", Value: "slow"},
			{Name: "GONE", ValueFrom: key("db", "nokey", ptr(true))},
			{Name: "POD", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['tier']"}}},
			{Name: "CPU", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
			{Name: "MIB", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory", Divisor: resource.MustParse("1Mi")}}},
			{Name: "DB_SERVICE_HOST", Value: "mine"},
		},
		Resources: corev1.ResourceRequirements{Limits: quantities("cpu", "1500m", "memory", "64Mi")},
	}
	got, err := sourced(&corev1.PodSpec{}).environment(c)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"CFG_LEVEL=info", "CFG_MODE=slow", "PASS=hunter2", "URL=redis://:hunter2@10.96.0.9/$(LATER)$", "LATER=x",
		"POD=front", "CPU=2", "MIB=64", "DB_SERVICE_HOST=mine", "KUBERNETES_SERVICE_HOST=10.96.0.1",
	}
	if d := cmp.Diff(want, envStrings(got)); d != "" {
		t.Error(d)
	}
	for want, e := range map[string]*corev1.EnvVarSource{
		`secret "none" not found`:                      key("none", "x", nil),
		"couldn't find key nokey in Secret shop/db":    key("db", "nokey", nil),
		"unsupported fieldPath: spec.foo":              {FieldRef: &corev1.ObjectFieldSelector{FieldPath: "spec.foo"}},
		"unsupported container resource: limits":       {ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits"}},
		"environment variable X: valueFrom is not sup": {},
	} {
		_, err := sourced(&corev1.PodSpec{}).environment(&corev1.Container{Env: []corev1.EnvVar{{Name: "X", ValueFrom: e}}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

func TestArguments(t *testing.T) {
	env := []corev1.EnvVar{{Name: "A", Value: "1"}}
	ep, cmd := []string{"/entry", "-x"}, []string{"serve"}
	for _, c := range []struct {
		name          string
		command, args []string
		ep            []string
		want          []string
	}{
		{"image's", nil, nil, ep, []string{"/entry", "-x", "serve"}},
		{"args replace CMD", nil, []string{"$(A)"}, ep, []string{"/entry", "-x", "1"}},
		{"command replaces both", []string{"/bin/x"}, nil, ep, []string{"/bin/x"}},
		{"both", []string{"/bin/x"}, []string{"y"}, ep, []string{"/bin/x", "y"}},
		{"empty ENTRYPOINT", nil, nil, []string{""}, []string{"serve"}},
	} {
		got, err := arguments(&corev1.Container{Command: c.command, Args: c.args}, env, c.ep, cmd)
		if d := cmp.Diff(c.want, got); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", c.name, err, d)
		}
	}
	if _, err := arguments(&corev1.Container{}, nil, nil, nil); err == nil {
		t.Error("nothing to run: no error")
	}
}

func TestField(t *testing.T) {
	p := sourced(&corev1.PodSpec{ServiceAccountName: "robot"})
	for path, want := range map[string]string{
		"metadata.name": "web-0", "metadata.namespace": "shop", "metadata.uid": p.uid, "spec.nodeName": "road",
		"spec.serviceAccountName": "robot", "status.podIP": "10.244.0.7", "status.podIPs": "10.244.0.7", "status.hostIP": "10.0.0.1",
		"metadata.labels": "app=\"web\"\ntier=\"front\"", "metadata.annotations['a/b']": "x", "metadata.labels['none']": "",
	} {
		if got, err := p.field(path); err != nil || got != want {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
}

func TestHosts(t *testing.T) {
	p := bare(&corev1.PodSpec{Subdomain: "db", HostAliases: []corev1.HostAlias{{IP: "1.2.3.4", Hostnames: []string{"a", "b"}}}})
	got := p.hosts()
	for _, want := range []string{
		"# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n",
		"\n10.244.0.7\tweb-0.db.shop.svc.cluster.local\tweb-0\n",
		"\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

func TestSysctls(t *testing.T) {
	ask := func(name, value string) (*Pod, map[string]string, error) {
		p := bare(&corev1.PodSpec{SecurityContext: &corev1.PodSecurityContext{Sysctls: []corev1.Sysctl{{Name: name, Value: value}}}})
		m, err := p.sysctls()
		return p, m, err
	}
	p, m, err := ask("net.ipv4.ip_unprivileged_port_start", "1024")
	if err != nil || m["net.ipv4.ip_unprivileged_port_start"] != "1024" || m["net.ipv4.ping_group_range"] != "0 2147483647" || len(p.Notes()) != 0 {
		t.Errorf("safe: %v, %v, %v", m, err, p.Notes())
	}
	p, m, err = ask("net/ipv4/conf/eth0.1/rp_filter", "1")
	if err != nil || m["net.ipv4.conf.eth0/1.rp_filter"] != "1" || len(p.Notes()) != 1 {
		t.Errorf("unsafe with slashes: %v, %v, %v", m, err, p.Notes())
	}
	if _, _, err = ask("vm.max_map_count", "262144"); err == nil || !strings.Contains(err.Error(), "SysctlForbidden") {
		t.Errorf("not namespaced: %v", err)
	}
}
