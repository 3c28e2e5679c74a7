package oci

import (
	"slices"
	"testing"

	"road/internal/app"
)

const caller = `apiVersion: v1
kind: Pod
metadata: {name: caller, labels: {app: caller}}
spec:
  restartPolicy: Never
  containers:
  - name: caller
    image: app:1
    command: [bash, -ec, "for host in db.example.org queue.infra files.example.org; do read line </dev/tcp/$host/7000; test $line = $host; done; exec sleep 1000"]
    readinessProbe: {exec: {command: [sh, -c, "grep -q ^sleep /proc/1/cmdline"]}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: files}
spec:
  containers:
  - name: files
    image: app:1
    command: [perl, -MIO::Socket, -e, '$s = IO::Socket::INET->new(Listen => 5, LocalPort => 7000) or die; while ($c = $s->accept) { print $c "files.example.org\n"; close $c }']
    readinessProbe: {tcpSocket: {port: 7000}, periodSeconds: 1}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: caller}
spec:
  podSelector: {matchLabels: {app: caller}}
  egress:
  - to: [{ipBlock: {cidr: 10.20.0.5/32}}]
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: infra}}, podSelector: {matchLabels: {app: queue}}}]
  - to: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]
  - ports: [{protocol: UDP, port: 53}]
`

const served = `apiVersion: road/v1
images: {app: .}
services:
  db.example.org: {image: app, port: 7000, address: 10.20.0.5, env: {HOST: db.example.org}, command: [perl, -MIO::Socket, -e, &serve '$s = IO::Socket::INET->new(Listen => 5, LocalPort => 7000) or die; while ($c = $s->accept) { print $c "$ENV{HOST}\n"; close $c }']}
  queue.infra: {image: app, port: 7000, namespace: infra, labels: {app: queue}, env: {HOST: queue.infra}, command: [perl, -MIO::Socket, -e, *serve]}
  files.example.org: {workload: files}
`

// What PATH lacks is served by others, where the real ones are: policies that know
// their places let the application through to them, and it is learned by name.
func TestSandboxServedByOthers(t *testing.T) {
	d := deploy(t, inline(t, map[string]string{"Dockerfile": dockerfile, "pods.yaml": caller, "road.yaml": served}))
	seen := &app.Seen{}
	if err := d.Learn(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range seen.Inside("pod/caller", "caller").Connects {
		if c.Port == 7000 && c.Protocol == "TCP" {
			got = append(got, c.Host+c.Workload)
		}
	}
	if want := []string{"db.example.org", "files.example.org", "queue.infra"}; !slices.Equal(got, want) {
		t.Errorf("it called %v, want %v", got, want)
	}
}
