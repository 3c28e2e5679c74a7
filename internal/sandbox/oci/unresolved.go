package oci

import (
	"maps"
	"slices"
	"strings"

	"road/internal/app"
	"road/internal/sandbox/oci/network"

	"github.com/miekg/dns"
)

// Unresolved gives the names that the application's pods looked up and nobody
// knows, sorted.
func (d *deployment) Unresolved() []string {
	d.mu.Lock()
	places := maps.Clone(d.calls.places)
	d.mu.Unlock()
	home := map[string]string{}
	for _, w := range d.app.Workloads {
		home[w.ID()] = w.Home()
	}
	var ours []network.Query
	for _, q := range d.e.net.Queries() {
		if id, ok := places[q.From]; ok {
			q.Name = asWritten(q.Name, home[id])
			ours = append(ours, q)
		}
	}
	return unknown(ours)
}

// asWritten takes off a name what a pod's resolver tries behind it.
func asWritten(name, namespace string) string {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for _, domain := range []string{"." + namespace + ".svc.cluster.local", ".svc.cluster.local", ".cluster.local"} {
		if short, ok := strings.CutSuffix(name, domain); ok {
			return short
		}
	}
	return name
}

// unknown gives the names of which no form that was asked for has an address.
// That a name server could not be asked says nothing about a name of the cluster's,
// but that nothing outside serves it here either.
func unknown(queries []network.Query) []string {
	failed := map[string]bool{}
	for _, q := range queries {
		failed[q.Name] = failed[q.Name] || q.Rcode != dns.RcodeToString[dns.RcodeSuccess]
	}
	for _, q := range queries {
		if len(q.Addrs) > 0 {
			delete(failed, q.Name)
		}
	}
	maps.DeleteFunc(failed, func(name string, lost bool) bool { return !lost || name == "" || app.APIServer == name })
	return slices.Sorted(maps.Keys(failed))
}
