package minimalimage

import (
	"slices"
	"strings"
	"testing"

	"road/internal/app"
)

// TestLearn finds what a log says is missing, as the usual programs put it, and
// nothing in lines that say something else.
func TestLearn(t *testing.T) {
	for line, want := range map[string]string{
		`open /etc/app/late.conf: no such file or directory`:                                  "/etc/app/late.conf",
		`FileNotFoundError: [Errno 2] No such file or directory: '/srv/app/x.json'`:           "/srv/app/x.json",
		`nginx: [emerg] open() "/etc/nginx/mime.types" failed (2: No such file or directory)`: "/etc/nginx/mime.types",
		`Error: ENOENT: no such file or directory, open '/app/views/index.pug'`:               "/app/views/index.pug",
		`x: error while loading shared libraries: libz.so.1: cannot open shared object file`:  "libz.so.1",
		`ModuleNotFoundError: No module named 'flask.json'`:                                   "flask,flask.*.so,flask.py",
		`Can't locate JSON/XS.pm in @INC (you may need to install the JSON::XS module)`:       "XS.pm",
		`Error: Cannot find module 'express'`:                                                 "express",
		`stat /proc/self/x: no such file or directory`:                                        "",
		`rm /etc: no such file or directory`:                                                  "",
		`open /a;reboot$(x): no such file or directory`:                                       "",
		`listening on /run/app.sock`:                                                          "",
		`2026/11/23 10:05:12 kid1| open /etc/mime.conf: No such file or directory`:            "/etc/mime.conf",
		`2026/11/23 10:05:12 kid1| (2) No such file or directory`:                             "",
		`file not found`: "",
	} {
		a := load(t, "FROM debian:trixie-slim\n", "", app.ImageFacts{}, app.SeenInside{})
		learn(a, "pod/p", "c: "+line+"\n")
		if got := strings.Join(a.Seen.Inside("pod/p", "c").Missed, ","); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

// TestMissedIsCollected has what was missed be in the last stage, where the image
// has it.
func TestMissedIsCollected(t *testing.T) {
	in := app.SeenInside{Opened: []string{"/bin/x"}, Ran: []string{"/bin/x"}, Missed: []string{"/srv/late", "libz.so.1"}}
	a := load(t, "FROM debian:trixie-slim\n", "", app.ImageFacts{Cmd: []string{"x"}}, in)
	p, why := targets(a)[0].plan(a)
	if p == nil {
		t.Fatal(why)
	}
	for _, want := range []string{`$(find /srv/late 2>/dev/null)`, `$(find $(find /opt /usr \( -name 'libz.so.1' \)))`} {
		if !slices.Contains(p.files, want) {
			t.Errorf("%q has no %s", p.files, want)
		}
	}
}
