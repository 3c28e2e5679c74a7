package oci

import (
	"strings"
	"testing"

	"road/internal/app"
	"road/internal/probe"
	"road/internal/sandbox"
)

// What the probe may do is what the server may that the entry point made, and
// not what the container was started with.
func TestSandboxProbeFollowsTheEntryPoint(t *testing.T) {
	const start = `redis-server --bind 0.0.0.0 --dir /data --requirepass "$REDIS_PASSWD"`
	for _, c := range []struct {
		name, script, codeAs string
		prepare              func(*app.App) *app.App
		want                 map[string]string
	}{
		{"drops root", "exec setpriv --reuid=999 --regid=999 --groups=999,50 " + start, "uid 999, gid 999: the entry point drops root", nil,
			map[string]string{"Uid": "999\t999\t999\t999", "Gid": "999\t999\t999\t999", "Groups": "50 999", "CapPrm": "0000000000000000", "CapBnd": "00000000a80425fb", "NoNewPrivs": "0"}},
		{"drops more, below a master, in users of its own", "setpriv --reuid=999 --regid=999 --clear-groups --bounding-set=-all,+chown --inh-caps=-all --no-new-privs " + start + " & wait",
			"uid 999, gid 999: the entry point drops root", ownUsers,
			map[string]string{"Uid": "999\t999\t999\t999", "Groups": "", "CapEff": "0000000000000000", "CapBnd": "0000000000000001", "NoNewPrivs": "1"}},
		{"keeps one capability", "exec setpriv --reuid=999 --regid=999 --clear-groups --inh-caps=-all,+chown --ambient-caps=-all,+chown " + start, "uid 999, gid 999: the entry point drops root", nil,
			map[string]string{"Uid": "999\t999\t999\t999", "CapPrm": "0000000000000001", "CapEff": "0000000000000001", "CapAmb": "0000000000000001"}},
		{"stays root", "exec " + start, "", nil, map[string]string{"Uid": "0\t0\t0\t0", "CapEff": "00000000a80425fb"}},
		{"can go back to root", "exec setpriv --euid=999 " + start, "", nil, map[string]string{"Uid": "0\t0\t0\t0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := demoAt(t, 1)
			if c.prepare != nil {
				a = c.prepare(a)
			}
			w := a.Workload(db)
			w.Pod.Containers[0].Command = []string{"sh", "-c", c.script}
			a.Workloads = []*app.Workload{w}
			d := deploy(t, a)
			s, err := d.Scene(t.Context(), sandbox.Target{Workload: db, Container: "redis"}, false)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var own string
			if err := s.Foothold.Code(t.Context(), probe.Status, nil, &own); err != nil {
				t.Fatal(err)
			}
			if as := s.CodeAs(); as != c.codeAs {
				t.Errorf("the scene says %q, want %q", as, c.codeAs)
			}
			for field, want := range c.want {
				if got := statusField(own, field); got != want {
					t.Errorf("%s of the probe is %q, want %q", field, got, want)
				}
			}
			ps, err := s.Node.Processes()
			if err != nil {
				t.Fatal(err)
			}
			var server, agent *sandbox.Process
			for i, p := range ps {
				switch {
				case strings.Contains(p.Exe, "redis"):
					server = &ps[i]
				case strings.Contains(p.Command, "agent"):
					agent = &ps[i]
				}
			}
			if server == nil || agent == nil || c.codeAs != "" && (server.UID != agent.UID || server.GID != agent.GID) {
				t.Errorf("on the node: %+v", ps)
			}
		})
	}
}
