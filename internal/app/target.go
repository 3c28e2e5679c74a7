package app

import (
	"fmt"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Latest is the minor version of the newest Kubernetes 1.x that road knows; it is
// the target where none is named. earliest is the oldest that can be one.
const (
	Latest   = 37
	earliest = 16
)

// A Target says which clusters the manifests are for. Its zero value stands for
// today's: Latest, with a runtime that bears everything.
type Target struct {
	Minor        int    // of Kubernetes 1.x; 0 where road.yaml names none
	Runtime      string // "containerd" or "cri-o"; "" where road.yaml names none
	RuntimeMajor int    // of the runtime's version
	RuntimeMinor int    // and its second number
	OpenShift    bool   // pods are admitted by OpenShift's restricted-v2, which gives them their users
}

// Older says whether the cluster's Kubernetes is older than 1.minor.
func (t Target) Older(minor int) bool { return t.Minor > 0 && t.Minor < minor }

// Kubernetes gives the version: "1.37".
func (t Target) Kubernetes() string {
	minor := t.Minor
	if minor == 0 {
		minor = Latest
	}
	return fmt.Sprintf("1.%d", minor)
}

// Before says whether the nodes have that runtime in a version older than
// major.minor.
func (t Target) Before(runtime string, major, minor int) bool {
	return t.Runtime == runtime && (t.RuntimeMajor < major || t.RuntimeMajor == major && t.RuntimeMinor < minor)
}

// RuntimeVersion gives the runtime as people name it: "containerd 1.7".
func (t Target) RuntimeVersion() string {
	return fmt.Sprintf("%s %d.%d", t.Runtime, t.RuntimeMajor, t.RuntimeMinor)
}

var (
	kubernetesVersion = regexp.MustCompile(`^1\.(\d{1,2})$`)
	runtimeVersion    = regexp.MustCompile(`^(containerd|cri-o)-(\d)\.(\d{1,2})$`)
)

func (c *Config) readTarget(s *strict, n *yaml.Node) {
	t := &c.Target
	s.mapping(n, "target",
		key{"kubernetes", func(n *yaml.Node) {
			var v string
			s.str(&v, "kubernetes")(n)
			if m := kubernetesVersion.FindStringSubmatch(v); m != nil {
				t.Minor, _ = strconv.Atoi(m[1])
			}
			if v != "" && (t.Minor < earliest || t.Minor > Latest) {
				s.fault(n, fmt.Sprintf(`write "1.%d" to "1.%d"`, earliest, Latest), "target: Kubernetes %q is not known", v)
				t.Minor = 0
			}
		}},
		key{"runtime", func(n *yaml.Node) {
			var v string
			s.str(&v, "runtime")(n)
			m := runtimeVersion.FindStringSubmatch(v)
			if m == nil {
				if v != "" {
					s.fault(n, "write containerd-1.7 or cri-o-1.33, with your version", "target: runtime %q is not known", v)
				}
				return
			}
			t.Runtime = m[1]
			t.RuntimeMajor, _ = strconv.Atoi(m[2])
			t.RuntimeMinor, _ = strconv.Atoi(m[3])
		}},
		key{"openshift", s.truth(&t.OpenShift, "openshift")})
}

// A Spot is where a service of the cluster's own is found by the rules of a
// network: the pods with Labels in Namespace, on Port.
type Spot struct {
	Namespace string
	Labels    map[string]string
	Port      int // 0 for any
}

// DNS is where the pods of cluster DNS are. OpenShift's answer on another port than
// their Service's.
func (t Target) DNS() Spot {
	if t.OpenShift {
		return Spot{"openshift-dns", map[string]string{"dns.operator.openshift.io/daemonset-dns": "default"}, 5353}
	}
	return Spot{"kube-system", map[string]string{"k8s-app": "kube-dns"}, 53}
}

// Ingress is where the pods of the ingress controller are, as far as nobody says
// otherwise: OpenShift's own, else ingress-nginx as its own manifests install it.
func (t Target) Ingress() Spot {
	if t.OpenShift {
		return Spot{"openshift-ingress", map[string]string{"ingresscontroller.operator.openshift.io/deployment-ingresscontroller": "default"}, 0}
	}
	return Spot{"ingress-nginx", map[string]string{"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"}, 0}
}
