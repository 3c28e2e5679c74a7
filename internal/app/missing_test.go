package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const refers = `apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      serviceAccountName: keeper
      containers:
      - name: db
        image: db:1
        envFrom:
        - configMapRef: {name: all}
        - secretRef: {name: extra, optional: true}
        env:
        - {name: USER, valueFrom: {secretKeyRef: {name: login, key: user}}}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: login, key: password}}}
        - {name: MODE, valueFrom: {configMapKeyRef: {name: there, key: mode}}}
        - {name: CA, valueFrom: {configMapKeyRef: {name: kube-root-ca.crt, key: ca.crt}}}
        volumeMounts:
        - {name: files, mountPath: /etc/db.conf, subPath: db.conf}
      volumes:
      - {name: files, configMap: {name: files}}
      - {name: old, persistentVolumeClaim: {claimName: old}}
      - {name: data, persistentVolumeClaim: {claimName: made-by-the-set}}
      - name: all
        projected: {sources: [{secret: {name: login, items: [{key: token, path: t}]}}]}
  volumeClaimTemplates:
  - metadata: {name: data}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: there, namespace: shop}
data: {mode: fast}
---
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: elsewhere}
`

// TestMissing finds what the pods need and nobody declares, with what it is made
// of: what road.yaml gives, else placeholders.
func TestMissing(t *testing.T) {
	a, err := LoadFiles("x", map[string][]byte{"db.yaml": []byte(refers), "road.yaml": []byte("apiVersion: road/v1\nsecrets: {login: {user: joe}, extra: {a: b}}\nconfigMaps: {files: {db.conf: 'x=1'}}\n")})
	if err != nil || len(a.Problems) != 0 {
		t.Fatal(dump(a, err))
	}
	var got []string
	for _, m := range a.Missing() {
		got = append(got, m.Pos.String()+": "+m.String())
	}
	want := []string{
		"db.yaml:10: ServiceAccount shop/keeper",
		"db.yaml:15: ConfigMap shop/all, empty",
		`db.yaml:18: Secret shop/login with "placeholder" for password, token`,
		"db.yaml:25: ConfigMap shop/files with the values of road.yaml",
		"db.yaml:26: PersistentVolumeClaim shop/old",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for _, c := range []struct {
		kind, name string
		want       map[string]string
		ok         bool
	}{
		{"Secret", "login", map[string]string{"user": "joe", "password": "placeholder", "token": "placeholder"}, true},
		{"Secret", "extra", map[string]string{"a": "b"}, true}, // optional, and given
		{"Secret", "none", nil, false},
		{"ConfigMap", "files", map[string]string{"db.conf": "x=1"}, true},
		{"ConfigMap", "there", nil, false}, // PATH has it
	} {
		got, ok := a.Stand(c.kind, "shop", c.name)
		if d := cmp.Diff(c.want, got); d != "" || ok != c.ok {
			t.Errorf("%s %s: %v\n%s", c.kind, c.name, ok, d)
		}
	}
}
