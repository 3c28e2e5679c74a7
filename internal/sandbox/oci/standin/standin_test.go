package standin

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func get(t *testing.T, c *http.Client, url, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// last gives the newest line of a journal.
func last(t *testing.T, s *Server) string {
	t.Helper()
	e := s.Entries()
	if len(e) == 0 {
		t.Fatal("the journal is empty")
	}
	if e[len(e)-1].From.String() != "127.0.0.1" {
		t.Errorf("from %s", e[len(e)-1].From)
	}
	return e[len(e)-1].Line
}

func TestMetadata(t *testing.T) {
	l := listen(t)
	s := Metadata(l)
	defer s.Close()
	base := "http://" + l.Addr().String()
	code, body := get(t, http.DefaultClient, base+"/latest/meta-data/iam/security-credentials/", "")
	if code != 200 || body != Role {
		t.Errorf("%d %q", code, body)
	}
	code, body = get(t, http.DefaultClient, base+"/latest/meta-data/iam/security-credentials/"+Role, "")
	if code != 200 || !strings.Contains(body, Credentials["AccessKeyId"]) {
		t.Errorf("%d %q", code, body)
	}
	if code, _ := get(t, http.DefaultClient, base+"/nothing", ""); code != 404 {
		t.Errorf("%d", code)
	}
	if got := last(t, s); got != "GET /nothing 404" {
		t.Errorf("the journal says %q", got)
	}
}

func TestAPI(t *testing.T) {
	ts := httptest.NewUnstartedServer(nil) // for its certificate
	ts.StartTLS()
	defer ts.Close()
	l := listen(t)
	s := API(l, ts.TLS.Certificates[0], func(token string) (string, error) {
		if token != "good" {
			return "", errors.New("bad")
		}
		return "system:serviceaccount:shop:web", nil
	})
	defer s.Close()
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	base := "https://" + l.Addr().String()
	for _, x := range []struct {
		path, token string
		code        int
		message     string
	}{
		{"/api/v1/namespaces/shop/secrets", "good", 403, `secrets is forbidden: User \"system:serviceaccount:shop:web\" cannot list resource \"secrets\" in API group \"\" in the namespace \"shop\"`},
		{"/api/v1/namespaces/shop/pods/x", "good", 403, `cannot get resource \"pods\"`},
		{"/apis/apps/v1/deployments", "good", 403, `cannot list resource \"deployments\" in API group \"apps\" at the cluster scope`},
		{"/metrics", "", 403, `forbidden: User \"system:anonymous\" cannot get path \"/metrics\"`},
		{"/api/v1/namespaces", "forged", 401, `Unauthorized`},
		{"/version", "", 200, `v1.37.0`},
	} {
		if code, body := get(t, c, base+x.path, x.token); code != x.code || !strings.Contains(body, x.message) {
			t.Errorf("%s: %d %s", x.path, code, body)
		}
	}
	if got := last(t, s); got != "GET /version by system:anonymous: 200" {
		t.Errorf("the journal says %q", got)
	}
	// One that speaks no TLS gets the real one's answer, and is in the journal.
	before := len(s.Entries())
	code, body := get(t, http.DefaultClient, "http://"+l.Addr().String()+"/version", "")
	if code != 400 || !strings.Contains(body, "HTTP request to an HTTPS server") {
		t.Errorf("%d %q", code, body)
	}
	if len(s.Entries()) != before+1 || last(t, s) != "connected" {
		t.Errorf("the journal says %q", last(t, s))
	}
}

func TestNameServer(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NameServer(pc, listen(t), "attacker.example.", net.IPv4(192, 0, 2, 1))
	defer s.Close()
	m, err := dns.Exchange(new(dns.Msg).SetQuestion("secret.attacker.example.", dns.TypeA), pc.LocalAddr().String())
	if err != nil || len(m.Answer) != 1 {
		t.Fatalf("%v, %v", m, err)
	}
	if got := last(t, s); got != "A secret.attacker.example." {
		t.Errorf("the journal says %q", got)
	}
	m, err = dns.Exchange(new(dns.Msg).SetQuestion("example.org.", dns.TypeA), pc.LocalAddr().String())
	if err != nil || m.Rcode != dns.RcodeRefused {
		t.Errorf("%v, %v", m, err)
	}
}

func TestJournalForgetsTheOldest(t *testing.T) {
	var j Journal
	for range kept + 10 {
		j.add("10.0.0.1:1", "x")
	}
	j.add("10.0.0.1:1", "last")
	if e := j.Entries(); len(e) > kept || e[len(e)-1].Line != "last" {
		t.Errorf("%d entries", len(e))
	}
}
