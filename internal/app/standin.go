package app

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
)

// A StandIn is what serves, while road runs the application, in the place of
// something that it calls and PATH lacks: a database of somebody else's, a queue.
// It stands outside the application: it is never hardened nor attacked. Exactly
// one of Image and Workload is set.
type StandIn struct {
	Host     string // the name by which the application calls it
	Line     int    // in road.yaml
	Image    string // as the images of checks are named: by an image of the application's or of images:, else one to pull
	Workload string // whose pod, as it was at 1.0, is run once more
	Command  []string
	Args     []string
	Env      map[string]EnvValue
	Port     int // that it gets ready on, with Image

	// Where the real one is, which a network policy has to know. With neither it is
	// somewhere outside of the cluster.
	Address   string            // its IPv4 address
	Namespace string            // its own namespace in the cluster
	Labels    map[string]string // its pods there
}

func (c *Config) readServices(s *strict, n *yaml.Node) {
	c.Services = map[string]*StandIn{}
	s.each(n, "services", func(k, v *yaml.Node) {
		if faults := validation.IsDNS1123Subdomain(k.Value); len(faults) > 0 {
			s.fault(k, "write the name that the application looks up", "services: %q is no host name", k.Value)
		}
		c.Services[k.Value] = readStandIn(s, k, v)
	})
}

func readStandIn(s *strict, k, n *yaml.Node) *StandIn {
	i := &StandIn{Host: k.Value, Line: k.Line}
	s.mapping(n, "service "+k.Value,
		key{"image", s.str(&i.Image, "image")},
		key{"workload", s.str(&i.Workload, "workload")},
		key{"command", s.words(&i.Command, "command")},
		key{"args", s.words(&i.Args, "args")},
		key{"env", func(n *yaml.Node) {
			i.Env = map[string]EnvValue{}
			s.each(n, "env", func(k, v *yaml.Node) { i.Env[k.Value] = readEnv(s, v) })
		}},
		key{"port", s.number(&i.Port, 1, 65535, "port")},
		key{"address", s.str(&i.Address, "address")},
		key{"namespace", s.str(&i.Namespace, "namespace")},
		key{"labels", s.table(&i.Labels, "labels")})
	if n.Kind != yaml.MappingNode {
		return i
	}
	if addr, err := netip.ParseAddr(i.Address); i.Address != "" && (err != nil || !addr.Is4()) {
		s.fault(n, "", "service %s: %q is no IPv4 address", i.Host, i.Address)
	}
	switch {
	case (i.Image == "") == (i.Workload == ""):
		s.fault(n, "", "service %s needs an image or a workload that stands in for it", i.Host)
	case i.Workload != "" && (i.Port != 0 || i.Command != nil || i.Args != nil || i.Env != nil):
		s.fault(n, "leave the other keys out", "service %s: a workload stands in as it is", i.Host)
	case i.Image != "" && i.Port == 0:
		s.fault(n, "port: 5432", "service %s needs the port that it is called on", i.Host)
	}
	if i.Address != "" && i.Namespace != "" {
		s.fault(n, "", "service %s has an address outside of the cluster or a namespace in it, not both", i.Host)
	}
	if i.Labels != nil && i.Namespace == "" {
		s.fault(n, "", "service %s: labels need the namespace that they are in", i.Host)
	}
	return i
}

// standIns ties the images that stand in for something, or that clients of checks
// are of, and that no workload names, by the rules of images. Those of checks have
// to be named by images: in road.yaml.
func (l *loader) standIns() {
	a := l.app
	var refs []string
	for _, host := range slices.Sorted(maps.Keys(a.Config.Services)) {
		refs = append(refs, a.Config.Services[host].Image)
	}
	for _, c := range a.Config.Checks {
		if c.Pod == nil {
			continue
		}
		if _, known := a.Config.Images[c.Pod.Image]; known {
			refs = append(refs, c.Pod.Image)
		}
	}
	for _, ref := range refs {
		named := func(i *Image) bool { return i.Name == imageName(ref) }
		if ref == "" || slices.ContainsFunc(a.Images, named) || slices.ContainsFunc(a.StandIns, named) {
			continue
		}
		i := &Image{Ref: ref, Name: imageName(ref)}
		l.tie(i)
		a.StandIns = append(a.StandIns, i)
	}
}

// Serves says whether a Service of PATH goes by that name for a pod in namespace:
// db, db.shop, db.shop.svc, and with a pod's own name in front below a headless one.
func (a *App) Serves(host, namespace string) bool {
	host = strings.TrimSuffix(strings.TrimSuffix(host, ".cluster.local"), ".svc")
	return slices.ContainsFunc(a.Objects, func(o *Object) bool {
		if o.Kind != "Service" {
			return false
		}
		full := o.Name + "." + o.Home()
		short := o.Name
		if o.Home() != namespace {
			short = full
		}
		_, below, _ := strings.Cut(host, ".")
		return host == full || host == short || below == full || below == short
	})
}
