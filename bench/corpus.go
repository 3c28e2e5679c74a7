package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// writeCorpus makes a folder of n manifests, alike and none like another: each a
// workload, of which every third is a StatefulSet and every fifth hardened a bit,
// and two of three with a Service behind it.
func writeCorpus(dir string, n int) error {
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("team-%02d", i%20), fmt.Sprintf("app-%04d.yaml", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		var b bytes.Buffer
		workload(&b, i)
		if i%3 != 2 {
			b.WriteString("---\n")
			service(&b, i)
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// stream gives n documents one behind the other. Most have nothing to find.
func stream(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		switch {
		case i%oneIn == 0:
			workload(&b, i)
		case i%oneIn == 1:
			service(&b, i-1)
		default:
			fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings-%d\ndata:\n  level: info # of %d\n  address: 192.0.2.%d\n", i, n, i%256)
		}
		b.WriteString("---\n")
	}
	return b.Bytes()
}

func workload(b *bytes.Buffer, i int) {
	kind, more := "Deployment", "  replicas: 3\n"
	if i%3 == 0 {
		kind, more = "StatefulSet", fmt.Sprintf("  serviceName: app-%d\n", i)
	}
	fmt.Fprintf(b, `# Application %[1]d, as a team wrote it.
apiVersion: apps/v1
kind: %[2]s
metadata:
  name: app-%[1]d
  labels: {app: app-%[1]d, team: team-%[4]d}
spec:
%[3]s  selector:
    matchLabels:
      app: app-%[1]d
  template:
    metadata:
      labels:
        app: app-%[1]d
    spec:
      containers:
      - name: server
        image: registry.example.com/team-%[4]d/app-%[1]d:1.%[4]d
        env:
        - {name: LISTEN, value: ":8080"}
        - name: PEER
          value: app-%[4]d:8080 # the team's first
        ports:
        - {name: http, containerPort: 8080}
        readinessProbe:
          httpGet: {path: /healthz, port: http}
`, i, kind, more, i%20)
	if i%5 == 0 {
		b.WriteString("        securityContext:\n          allowPrivilegeEscalation: false\n          capabilities: {drop: [ALL]}\n")
	}
	if i%4 == 0 {
		b.WriteString("      - name: log\n        image: registry.example.com/log:3\n        resources:\n          limits: {memory: 64Mi}\n")
	}
}

func service(b *bytes.Buffer, i int) {
	fmt.Fprintf(b, `apiVersion: v1
kind: Service
metadata:
  name: app-%[1]d
spec:
  selector:
    app: app-%[1]d
  ports:
  - {name: http, port: 8080, targetPort: http}
`, i)
}
