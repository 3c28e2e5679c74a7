package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// sceneOf attacks the web server's first pod until the test ends.
func sceneOf(t *testing.T, d *deployment) *sandbox.Scene {
	t.Helper()
	s, err := d.Scene(t.Context(), sandbox.Target{Workload: web, Container: "road-to-secure-kubernetes"}, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// denyAll adds a policy for a workload's pods that lets nothing through.
func denyAll(a *app.App, workload string) {
	w := a.Workload(workload)
	a.Objects = append(a.Objects, &app.Object{Kind: "NetworkPolicy", Name: "deny-" + w.Name, Namespace: w.Home(), Typed: &networkingv1.NetworkPolicy{
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: w.Meta.Labels},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
		},
	}})
}

// What the application calls is learned; what its clients and attackers call is
// not.
func TestSandboxLearnsConnections(t *testing.T) {
	d := deploy(t, demoAt(t, 1))
	count(t, d)
	if why := engineFor(t).Info().Lacks[sandbox.NetworkPolicy]; why != "" {
		t.Error(why)
	}
	client, err := d.Client(t.Context(), sandbox.ClientOptions{Workload: web})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if c, err := client.DialContext(t.Context(), "tcp", "road-to-secure-kubernetes:8080"); err != nil {
		t.Error(err)
	} else {
		c.Close()
	}
	s := sceneOf(t, d)
	var r probe.DialResult
	if err := s.Foothold.Code(t.Context(), probe.Dial, probe.DialArgs{Addr: "10.96.0.1:443"}, &r); err != nil {
		t.Error(err)
	}
	seen := &app.Seen{}
	if err := d.Learn(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	in := seen.Inside(web, "road-to-secure-kubernetes")
	want := []app.Connection{{Workload: db, Protocol: "TCP", Port: 6379}}
	if !slices.Equal(in.Connects, want) || !in.Resolves {
		t.Errorf("the web server connects to %v, resolves %v", in.Connects, in.Resolves)
	}
	in = seen.Inside(db, "redis")
	if in.Connects == nil || len(in.Connects) != 0 || in.Resolves {
		t.Errorf("Redis connects to %v, resolves %v", in.Connects, in.Resolves)
	}
}

// Policies hold for the pods of their own deployment, and the node still sees
// whether they are ready.
func TestSandboxPolicyHolds(t *testing.T) {
	a := demoAt(t, 1)
	denyAll(a, db)
	d := deploy(t, a)
	body := ask(t, d, "/")
	if !strings.Contains(body, "counting the visit") {
		t.Errorf("with Redis shut off the counter answers %q", body)
	}
	// What was tried in vain is learned too, so that a policy can be mended.
	seen := &app.Seen{}
	if err := d.Learn(t.Context(), seen); err != nil {
		t.Fatal(err)
	}
	if in := seen.Inside(web, "road-to-secure-kubernetes"); !slices.Contains(in.Connects, app.Connection{Workload: db, Protocol: "TCP", Port: 6379}) {
		t.Errorf("the web server connects to %v", in.Connects)
	}
}

// What stands around an application answers as the real thing, and keeps a
// journal for each pod.
func TestSandboxStandIns(t *testing.T) {
	d := deploy(t, demoAt(t, 1))
	s := sceneOf(t, d)
	if got := s.Control.Log(sandbox.Metadata); len(got) != 0 {
		t.Errorf("before it was asked, the metadata service's journal says %q", got)
	}
	body, err := s.Foothold.Request(t.Context(), "http://169.254.169.254/latest/meta-data/iam/security-credentials/road")
	if err != nil || !strings.Contains(body, "SecretAccessKey") {
		t.Errorf("the metadata service answers %q, %v", body, err)
	}
	if got := s.Control.Log(sandbox.Metadata); !slices.Equal(got, []string{"GET /latest/meta-data/iam/security-credentials/road 200"}) {
		t.Errorf("the metadata service's journal says %q", got)
	}
	var r probe.ResolveResult
	if err := s.Foothold.Code(t.Context(), probe.Resolve, probe.ResolveArgs{Name: "label." + sandbox.AttackerZone}, &r); err != nil {
		t.Error(err)
	}
	if got := s.Control.Log(sandbox.NameServer); !slices.Contains(got, "A label.attacker.example.") {
		t.Errorf("the attacker's name server was asked %q", got)
	}
	var token, ca probe.ReadResult
	for name, into := range map[string]*probe.ReadResult{"token": &token, "ca.crt": &ca} {
		if err := s.Foothold.Code(t.Context(), probe.Read, probe.ReadArgs{Path: "/var/run/secrets/kubernetes.io/serviceaccount/" + name}, into); err != nil {
			t.Fatal(err)
		}
	}
	if got := askAPI(t, d, string(token.Data), ca.Data); !strings.Contains(got, `User \"system:serviceaccount:road:default\" cannot list resource \"secrets\"`) {
		t.Errorf("the API server answers %q", got)
	}
	if got := askAPI(t, d, string(token.Data)+"x", ca.Data); !strings.Contains(got, `"Unauthorized"`) {
		t.Errorf("for a forged token the API server answers %q", got)
	}
}

// askAPI asks the API server for Secrets, as a pod does that trusts ca alone.
func askAPI(t *testing.T, d *deployment, token string, ca []byte) string {
	t.Helper()
	client, err := d.Client(t.Context(), sandbox.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return client.DialContext(ctx, network, addr)
		}}}
	req, err := http.NewRequest(http.MethodGet, "https://kubernetes.default.svc/api/v1/namespaces/default/secrets", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
