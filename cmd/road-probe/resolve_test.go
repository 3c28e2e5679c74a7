package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"road/internal/probe"
)

// nameServer is a real one on loopback, which knows three names.
func nameServer(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	zone := map[dns.Question]string{
		{Name: "redis.road.", Qtype: dns.TypeA, Qclass: dns.ClassINET}:    "redis.road. 5 IN A 10.1.2.3",
		{Name: "redis.road.", Qtype: dns.TypeAAAA, Qclass: dns.ClassINET}: "redis.road. 5 IN AAAA fd00::1",
		{Name: "text.road.", Qtype: dns.TypeTXT, Qclass: dns.ClassINET}:   `text.road. 5 IN TXT "one " "two"`,
	}
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Compress = true
		if text, ok := zone[q.Question[0]]; ok {
			record, err := dns.NewRR(text)
			if err != nil {
				t.Error(err)
			}
			m.Answer = append(m.Answer, record)
		} else {
			m.Rcode = dns.RcodeNameError
		}
		if err := w.WriteMsg(m); err != nil {
			t.Error(err)
		}
	})}
	go server.ActivateAndServe()
	t.Cleanup(func() { server.Shutdown() })
	return conn.LocalAddr().String()
}

func TestResolve(t *testing.T) {
	p := newAgentUnderTest(t)
	server := nameServer(t)
	for _, c := range []struct {
		name, kind string
		rcode      int
		want       []string
	}{
		{"redis.road.", "", 0, []string{"10.1.2.3"}},
		{"redis.road.", "AAAA", 0, []string{"fd00::1"}},
		{"text.road.", "TXT", 0, []string{"one two"}},
		{"nobody.road.", "A", 3, nil},
	} {
		var got probe.ResolveResult
		p.do(probe.Resolve, probe.ResolveArgs{Name: c.name, Type: c.kind, Server: server}, &got)
		if got.RCode != c.rcode || !slices.Equal(got.Answers, c.want) || got.Name != c.name {
			t.Errorf("%s %s: got %+v, want %d %q", c.name, c.kind, got, c.rcode, c.want)
		}
	}
	for _, bad := range []probe.ResolveArgs{{Name: "a..b."}, {Name: "a.", Type: "MX"}} {
		bad.Server = server
		if err := p.try(probe.Resolve, bad, nil); err == nil {
			t.Errorf("%+v was asked for", bad)
		}
	}
}

func TestResolvConf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	text := "# a pod's\nsearch road.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\nnameserver 10.96.0.11\noptions ndots:5\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	conf, err := readResolvConf(file)
	if err != nil || conf.server != "10.96.0.10:53" {
		t.Errorf("got %+v, %v", conf, err)
	}
	for name, want := range map[string][]string{
		"redis":       {"redis.road.svc.cluster.local.", "redis.svc.cluster.local.", "redis."},
		"redis.":      {"redis."},
		"a.b.c.d.e.f": {"a.b.c.d.e.f.", "a.b.c.d.e.f.road.svc.cluster.local.", "a.b.c.d.e.f.svc.cluster.local."},
	} {
		if got := conf.names(name); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// Whatever a name server answers, the probe lives.
func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte{0x72, 0x07, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 1, 2, 3})
	f.Add([]byte{0x72, 0x07, 0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0, 5, 0, 3, 2, 'a', 'b'})
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, kind := range recordTypes {
			if _, answers, err := parseAnswer(answer, kind); err == nil && len(answers) > len(answer) {
				t.Errorf("%d answers in %d bytes", len(answers), len(answer))
			}
		}
	})
}
