package oci

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/sandbox"
	"road/internal/sandbox/oci/network"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What the StatefulSet controller and the API server's admission add to a pod.
func TestAdmitted(t *testing.T) {
	no, yes := false, true
	d := &deployment{app: &app.App{Config: &app.Config{}, Objects: []*app.Object{
		{Kind: "ServiceAccount", Name: "quiet", Typed: &corev1.ServiceAccount{AutomountServiceAccountToken: &no}},
		{Kind: "ServiceAccount", Name: "quiet", Namespace: "other", Typed: &corev1.ServiceAccount{AutomountServiceAccountToken: &yes}},
	}}}
	set := &appsv1.StatefulSet{Spec: appsv1.StatefulSetSpec{ServiceName: "db", VolumeClaimTemplates: []corev1.PersistentVolumeClaim{{}}}}
	set.Spec.VolumeClaimTemplates[0].Name = "data"
	m := &member{index: 2, workload: &app.Workload{Object: &app.Object{Kind: "StatefulSet", Name: "pg", Typed: set}}}
	spec := &corev1.PodSpec{ServiceAccountName: "quiet"}
	got := d.admitted(m, "default", spec)
	want := &corev1.PodSpec{ServiceAccountName: "quiet", AutomountServiceAccountToken: &no, Subdomain: "db", Volumes: []corev1.Volume{
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data-pg-2"}}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if spec.Subdomain != "" || len(spec.Volumes) > 0 {
		t.Error("the workload's own spec was changed")
	}
	spec.AutomountServiceAccountToken = &yes // the pod's word counts before the account's
	if got := d.admitted(m, "default", spec); !*got.AutomountServiceAccountToken {
		t.Error("the pod wants a token and gets none")
	}
}

func TestTokenIsAsAskedFor(t *testing.T) {
	i, err := newIssuer()
	if err != nil {
		t.Fatal(err)
	}
	for who, want := range map[string]string{"": audience, "vault": "vault"} {
		token, err := i.token("shop", "web", "web-0", who, 600)
		if err != nil {
			t.Fatal(err)
		}
		claims := &jwt.RegisteredClaims{}
		if _, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return &i.key.PublicKey, nil }); err != nil {
			t.Fatal(err)
		}
		if life := claims.ExpiresAt.Sub(claims.IssuedAt.Time); life != 10*time.Minute {
			t.Errorf("good for %s", life)
		}
		if len(claims.Audience) != 1 || claims.Audience[0] != want {
			t.Errorf("for %v, want %s", claims.Audience, want)
		}
		// A token for someone else is none for the API server.
		if _, err := i.who(token); (err == nil) != (who == "") {
			t.Errorf("the API server says of a token for %q: %v", who, err)
		}
	}
}

func TestInstalledProbeIsEveryones(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "probe"), t.TempDir()
	if err := os.WriteFile(from, []byte("program"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second engine of the same world
		name, err := installProbe(from, to)
		if err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(name); err != nil || st.Mode().Perm() != 0o755 || filepath.Dir(name) != to {
			t.Errorf("%s: %v %v", name, st.Mode(), err)
		}
	}
}

// A port with a name that no container has is left out, as in a cluster.
func TestTargetPorts(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	spec := &corev1.PodSpec{
		InitContainers: []corev1.Container{
			{Name: "proxy", RestartPolicy: &always, Ports: []corev1.ContainerPort{{Name: "mesh", ContainerPort: 15006}}},
			{Name: "setup", Ports: []corev1.ContainerPort{{Name: "gone", ContainerPort: 1}}},
		},
		Containers: []corev1.Container{{Name: "web", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}},
	}
	s := &service{name: "web", spec: corev1.ServiceSpec{}}
	for _, name := range []string{"http", "mesh", "gone", "none"} {
		s.spec.Ports = append(s.spec.Ports, corev1.ServicePort{Name: name, Port: 80, TargetPort: intstr.FromString(name)})
	}
	m := &member{workload: &app.Workload{Object: &app.Object{Kind: "Deployment"}, Pod: spec}, end: &network.Endpoint{IP: netip.MustParseAddr("10.244.0.9")}}
	want := map[string]uint16{"http": 8080, "mesh": 15006, "gone": 0, "none": 0}
	if diff := cmp.Diff(want, s.backend(m).Targets); diff != "" {
		t.Error(diff)
	}
}

// What was published ends with the deployment: the next stop wants the port.
func TestSandboxPublishEndsWithTheDeployment(t *testing.T) {
	e := engineFor(t)
	a := &app.App{Config: &app.Config{}, Objects: []*app.Object{{Kind: "Service", Name: "web", Typed: &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}}}}
	d, err := e.Deploy(t.Context(), a, sandbox.DeployOptions{})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := d.Publish(t.Context(), "127.0.0.1:0", "web", 80)
	if err != nil {
		t.Fatal(err)
	}
	dial := func() (net.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		return e.(*engine).w.DialHost(ctx, "tcp", addr.String())
	}
	c, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c, err := dial(); err == nil {
		c.Close()
		t.Error("the host's port is open still")
	}
}
