package openshift

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func spec(t *testing.T, text string) *corev1.PodSpec {
	t.Helper()
	s := &corev1.PodSpec{}
	if err := yaml.Unmarshal([]byte(text), s); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestRefuses has a pod for every rule of restricted-v2.
func TestRefuses(t *testing.T) {
	for _, c := range []struct{ pod, want string }{
		{"{}", ""},
		{"{containers: [{name: a}]}", ""}, // what is left open is given
		{"{securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}, supplementalGroups: [5], sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: '0'}]}, containers: [{name: a, securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}}]}", ""},
		{"{securityContext: {runAsUser: 1000650000, fsGroup: 1000659999}}", ""},
		{"{hostUsers: false}", ""},
		{"{volumes: [{name: a, configMap: {}}, {name: b, csi: {}}, {name: c, downwardAPI: {}}, {name: d, emptyDir: {}}, {name: e, ephemeral: {}}, {name: f, persistentVolumeClaim: {}}, {name: g, projected: {}}, {name: h, secret: {}}]}", ""},
		{"{hostNetwork: true}", "hostNetwork: true"},
		{"{hostPID: true}", "hostPID: true"},
		{"{hostIPC: true}", "hostIPC: true"},
		{"{volumes: [{name: a, hostPath: {path: /}}]}", "volume a is of a kind that is not in the list"},
		{"{volumes: [{name: a, nfs: {server: s, path: /}}]}", "volume a is of a kind that is not in the list"},
		{"{volumes: [{name: a, image: {reference: i}}]}", "volume a is of a kind that is not in the list"},
		{"{securityContext: {runAsUser: 1234}}", "runAsUser: 1234 is not in the namespace's range"},
		{"{securityContext: {runAsUser: 1000660000}}", "runAsUser: 1000660000 is not in the namespace's range"},
		{"{securityContext: {runAsUser: 0}}", "runAsUser: 0 is not in the namespace's range"},
		{"{securityContext: {fsGroup: 70}}", "fsGroup: 70 is not in the namespace's range"},
		{"{securityContext: {seccompProfile: {type: Unconfined}}}", "seccompProfile other than RuntimeDefault"},
		{"{securityContext: {seccompProfile: {type: Localhost, localhostProfile: x}}}", "seccompProfile other than RuntimeDefault"},
		{"{containers: [{name: a, ports: [{containerPort: 80, hostPort: 80}]}]}", "a: hostPort: 80"},
		{"{containers: [{name: a, securityContext: {privileged: true}}]}", "a: privileged: true"},
		{"{initContainers: [{name: a, securityContext: {allowPrivilegeEscalation: true}}]}", "a: allowPrivilegeEscalation: true"},
		{"{containers: [{name: a, securityContext: {runAsUser: 0}}]}", "a: runAsUser: 0 is not in the namespace's range"},
		{"{containers: [{name: a, securityContext: {seccompProfile: {type: Unconfined}}}]}", "a: seccompProfile other than RuntimeDefault"},
		{"{containers: [{name: a, securityContext: {procMount: Unmasked}}]}", "a: procMount: Unmasked"},
		{"{containers: [{name: a, securityContext: {capabilities: {add: [CHOWN]}}}]}", "a: capability CHOWN is added"},
	} {
		if d := cmp.Diff(c.want, strings.Join(Refuses(spec(t, c.pod)), "; ")); d != "" {
			t.Errorf("%s (-want +got):\n%s", c.pod, d)
		}
	}
}

// TestAssign gives users to pods that are not to run as root and leave open as whom
// they do, and to no other.
func TestAssign(t *testing.T) {
	const given = "{runAsNonRoot: true, runAsUser: 1000650000, fsGroup: 1000650000}"
	for _, c := range []struct{ pod, want string }{
		{"{securityContext: {runAsNonRoot: true}, containers: [{name: a}]}", "{securityContext: " + given + ", containers: [{name: a}]}"},
		{"{containers: [{name: a, securityContext: {runAsNonRoot: true}}]}", "{securityContext: {runAsUser: 1000650000, fsGroup: 1000650000}, containers: [{name: a, securityContext: {runAsNonRoot: true}}]}"},
		{"{securityContext: {runAsNonRoot: true, fsGroup: 1000650001}, containers: [{name: a}]}", "{securityContext: {runAsNonRoot: true, runAsUser: 1000650000, fsGroup: 1000650001}, containers: [{name: a}]}"},
		{"{containers: [{name: a}]}", ""},
		{"{securityContext: {runAsNonRoot: true, runAsUser: 5}, containers: [{name: a}]}", ""},
		{"{securityContext: {runAsNonRoot: true}, containers: [{name: a, securityContext: {runAsUser: 5}}]}", ""},
		{"{securityContext: {runAsNonRoot: true}, containers: [{name: a, securityContext: {runAsNonRoot: false}}]}", ""},
	} {
		if c.want == "" {
			c.want = c.pod
		}
		got := spec(t, c.pod)
		if Assign(got); cmp.Diff(spec(t, c.want), got) != "" {
			t.Errorf("%s (-want +got):\n%s", c.pod, cmp.Diff(spec(t, c.want), got))
		}
	}
}
