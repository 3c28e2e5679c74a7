package oci

import (
	"fmt"
	"strconv"
	"strings"

	"road/internal/sandbox/oci/network"

	corev1 "k8s.io/api/core/v1"
)

// serviceEnv gives the variables with which the kubelet tells a container where
// the services of its namespace are. Those of the API are always there; the
// others only where enableServiceLinks allows it, which is the default.
func serviceEnv(services []*service, namespace string, spec *corev1.PodSpec) []string {
	env := linkVars("KUBERNETES", network.APIServer.String(), []corev1.ServicePort{{Name: "https", Port: 443, Protocol: corev1.ProtocolTCP}})
	if spec.EnableServiceLinks != nil && !*spec.EnableServiceLinks {
		return env
	}
	for _, s := range services {
		if s.namespace != namespace || s.headless() || !s.addr.IsValid() {
			continue
		}
		env = append(env, linkVars(envName(s.name), s.addr.String(), s.spec.Ports)...)
	}
	return env
}

// envName turns a service's name into the form that variables have.
func envName(s string) string { return strings.ToUpper(strings.ReplaceAll(s, "-", "_")) }

// linkVars gives NAME_SERVICE_HOST, NAME_SERVICE_PORT and the forms of Docker
// links, in the order in which the kubelet writes them.
func linkVars(name, addr string, ports []corev1.ServicePort) []string {
	if len(ports) == 0 {
		return nil
	}
	env := []string{
		name + "_SERVICE_HOST=" + addr,
		name + "_SERVICE_PORT=" + strconv.Itoa(int(ports[0].Port)),
	}
	for _, p := range ports {
		if p.Name != "" {
			env = append(env, fmt.Sprintf("%s_SERVICE_PORT_%s=%d", name, envName(p.Name), p.Port))
		}
	}
	for i, p := range ports {
		proto := protocol(p.Protocol)
		url := fmt.Sprintf("%s://%s:%d", proto, addr, p.Port)
		if i == 0 {
			env = append(env, name+"_PORT="+url)
		}
		link := fmt.Sprintf("%s_PORT_%d_%s", name, p.Port, strings.ToUpper(proto))
		env = append(env, link+"="+url, link+"_PROTO="+proto,
			fmt.Sprintf("%s_PORT=%d", link, p.Port), link+"_ADDR="+addr)
	}
	return env
}

// protocol gives the name that nftables and Go's net package use; TCP is the default.
func protocol(p corev1.Protocol) string {
	if p == "" {
		return "tcp"
	}
	return strings.ToLower(string(p))
}
