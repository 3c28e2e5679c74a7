package app

import (
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// A Callee is a host that the settings of a workload name and that no Service of
// PATH serves: something outside, as far as that can be told without a run.
type Callee struct {
	Pos         // where it is named first
	Host string // "db.example.com"
	Port int    // 0 where none is known
}

// Outside lists the hosts that variables and ConfigMaps name and that nothing in
// PATH serves, each once, in file order.
func (a *App) Outside() []*Callee {
	var found []*Callee
	add := func(pos Pos, name, value, namespace string) {
		for _, c := range callees(name, value) {
			if a.Serves(c.Host, namespace) || slices.ContainsFunc(found, func(f *Callee) bool { return f.Host == c.Host }) {
				continue
			}
			c.Pos = pos
			found = append(found, c)
		}
	}
	for _, w := range a.Workloads {
		for c := range w.Containers() {
			for i, e := range c.Spec.Env {
				add(c.Pos("env", i), e.Name, e.Value, w.Home())
			}
		}
	}
	for _, o := range a.Objects {
		if m, ok := o.Typed.(*corev1.ConfigMap); ok {
			for _, k := range slices.Sorted(maps.Keys(m.Data)) {
				add(o.Pos(Path{"data", k}), k, m.Data[k], o.Home())
			}
		}
	}
	return found
}

// ports are those of what URLs commonly lead to.
var ports = map[string]int{"http": 80, "https": 443, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306,
	"redis": 6379, "amqp": 5672, "mongodb": 27017, "nats": 4222, "smtp": 25, "ldap": 389}

var (
	urls  = regexp.MustCompile(`([a-z][a-z0-9+.-]*)://(?:[^\s/@'"]*@)?([A-Za-z0-9.-]+)(?::([0-9]+))?`)
	hosts = regexp.MustCompile(`^([A-Za-z0-9.-]+)(?::([0-9]+))?$`)
	// called is how a variable that holds nothing but a host is named.
	called = regexp.MustCompile(`(?i)(host|hostname|server|servers|addr|address|endpoint|broker|brokers|url)$`)
)

// callees finds hosts in a setting: in URLs wherever they stand, and where the
// whole of it is one or more hosts with ports, or its name says that it is a host.
func callees(name, value string) []*Callee {
	var found []*Callee
	add := func(host, port string, otherwise int) {
		if !isHost(host) {
			return
		}
		if n, err := strconv.Atoi(port); err == nil && n > 0 && n < 1<<16 {
			otherwise = n
		}
		found = append(found, &Callee{Host: strings.ToLower(host), Port: otherwise})
	}
	all := urls.FindAllStringSubmatch(value, -1)
	for _, m := range all {
		add(m[2], m[3], ports[m[1]])
	}
	if len(all) > 0 {
		return found
	}
	for part := range strings.SplitSeq(value, ",") {
		m := hosts.FindStringSubmatch(strings.TrimSpace(part))
		if m != nil && (m[2] != "" || called.MatchString(name)) {
			add(m[1], m[2], 0)
		}
	}
	return found
}

// isHost says whether a text is the name of another machine.
func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err != nil && len(validation.IsDNS1123Subdomain(strings.ToLower(s))) == 0 &&
		strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }) &&
		s != "localhost" && !strings.HasSuffix(s, ".localhost")
}
