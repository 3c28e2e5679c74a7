package image

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"road/internal/app"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
)

func TestDistributionOf(t *testing.T) {
	const sum = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for ref, want := range map[string]string{
		"debian": "stable", "debian:latest": "stable", "debian:trixie-slim": "trixie slim", "debian:12": "bookworm", "debian:12.5-slim": "bookworm slim",
		"debian:bookworm-20250520-slim": "bookworm slim", "debian:bookworm-20250520": "bookworm", "docker.io/library/debian:13": "trixie", "debian:sid": "sid", "debian:stable-slim": "stable slim",
		"ubuntu:24.04": "noble", "ubuntu:noble": "noble", "ubuntu:noble-20250101": "noble", "ubuntu": "resolute",
		"debian:trixie" + sum: "", "debian:buzz": "", "debian:trixie-backports": "", "other/debian:trixie": "", "example.org/library/debian:trixie": "", "nginx": "", "ubuntu:trixie": "",
	} {
		r, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if d := distributionOf(r); d != nil {
			got = d.suite
			if d.slim {
				got += " slim"
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", ref, got, want)
		}
	}
}

func TestSources(t *testing.T) {
	d := &distribution{name: "Debian", suite: "trixie"}
	want := []string{"deb http://m/debian trixie main", "deb http://m/debian trixie-updates main", "deb http://m/debian-security trixie-security main"}
	if diff := cmp.Diff(want, d.sources("http://m/debian")); diff != "" {
		t.Error(diff)
	}
	if got := d.sources("http://m/odd")[2]; got != "deb http://deb.debian.org/debian-security trixie-security main" {
		t.Error(got)
	}
	d.suite = "sid"
	if got := d.sources("http://m/debian"); len(got) != 1 {
		t.Error(got)
	}
	for _, l := range (&distribution{name: "Ubuntu", suite: "noble"}).sources("http://m/debian") {
		if !strings.Contains(l, "ubuntu.com/ubuntu noble") {
			t.Error(l)
		}
	}
}

func TestHostMirror(t *testing.T) {
	for sources, want := range map[string]string{
		"": defaultMirror,
		"deb http://ftp.de.debian.org/debian/ bookworm main\n":                             "http://ftp.de.debian.org/debian",
		"# deb http://no/debian x\ndeb [arch=amd64 signed-by=/k] http://m:3142/debian b m": "http://m:3142/debian",
		"Types: deb\nURIs: http://mirror/x/debian\nSuites: trixie\n":                       "http://mirror/x/debian",
		"deb https://tls/debian trixie main\n":                                             defaultMirror, // a minimal base has no certificates
		"deb http://security.debian.org/debian-security trixie-security main\n":            defaultMirror,
	} {
		if got := hostMirror(sources); got != want {
			t.Errorf("%q: %s, want %s", sources, got, want)
		}
	}
}

func TestBasesOf(t *testing.T) {
	const text = `ARG TAG=1
ARG BASE=debian:${TAG}
FROM --platform=$BUILDPLATFORM golang:1.24 AS build
RUN --mount=type=bind,from=tools:2,target=/t --mount=type=cache,target=/c make
FROM busybox AS unused
COPY --from=never:1 / /
FROM ${BASE} AS Run
COPY --from=build /a /
COPY --from=0 /b /
COPY --from=files:3 /b /
FROM scratch AS none
FROM run
COPY . .
`
	for _, c := range []struct {
		target string
		args   map[string]string
		want   []wanted
	}{
		{"", nil, []wanted{{"debian:1", 7}, {"golang:1.24", 3}, {"tools:2", 4}, {"files:3", 10}}},
		{"build", nil, []wanted{{"golang:1.24", 3}, {"tools:2", 4}}},
		{"RUN", map[string]string{"TAG": "9"}, []wanted{{"debian:9", 7}, {"golang:1.24", 3}, {"tools:2", 4}, {"files:3", 10}}},
		{"none", nil, nil},
		{"unused", nil, []wanted{{"busybox", 5}, {"never:1", 6}}},
	} {
		got, err := basesOf(&app.Build{Target: c.target, Args: c.args, Dockerfile: &app.Dockerfile{File: "Dockerfile", Content: []byte(text)}})
		if err != nil {
			t.Errorf("%s: %v", c.target, err)
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(wanted{})); diff != "" {
			t.Errorf("target %q (-want +got):\n%s", c.target, diff)
		}
	}
}

func FuzzBasesOf(f *testing.F) {
	f.Add("FROM a AS b\nRUN --mount=from=c x\nCOPY --from=b / /\n", "b")
	f.Add("ARG A=${B}\nFROM ${A:-x}\n", "")
	f.Fuzz(func(t *testing.T, text, target string) {
		basesOf(&app.Build{Target: target, Dockerfile: &app.Dockerfile{File: "Dockerfile", Content: []byte(text)}})
	})
}

func TestContextKey(t *testing.T) {
	for ref, want := range map[string]string{
		"debian": "debian", "debian:latest": "debian", "docker.io/library/debian:trixie-slim": "debian:trixie-slim",
		"team/web": "team/web", "localhost:5000/web:1": "localhost:5000/web:1",
	} {
		if got := contextKey(ref); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}

func TestStepLine(t *testing.T) {
	for name, want := range map[string]string{
		"[2/5] RUN apt-get update":                 "RUN apt-get update (2/5)",
		"[stage-1 3/3] COPY a b":                   "COPY a b (3/3)",
		"[build 2/2] RUN <<EOF (make...)\nx\nEOF":  "build: RUN <<EOF (make...) … (2/2)",
		"[internal] load build context":            "",
		"[context debian] OCI load from client":    "",
		"exporting":                                "",
		"[1/2] RUN " + strings.Repeat("long ", 40): "RUN " + strings.Repeat("long ", 17) + "… (1/2)",
	} {
		if got := stepLine(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestCleanLine(t *testing.T) {
	for line, want := range map[string]string{
		"10%\r20%\r100%\r": "100%", "\x1b[31mred\x1b[0m\x07": "red", "\x1b]0;title\x07text": "text", "a\tb": "a\tb",
	} {
		if got := cleanLine(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestPorts(t *testing.T) {
	got := ports(map[string]struct{}{"80/tcp": {}, "80": {}, "53/udp": {}, "9000-9002/tcp": {}, "x": {}, "65535-70000": {}})
	if want := []int{80, 9000, 9001, 9002, 65535}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestHome(t *testing.T) {
	accounts := []app.Account{{Name: "root", Home: "/root"}, {Name: "web", UID: 5, Home: "/home/web"}}
	for user, want := range map[string]string{"": "/root", "0:0": "/root", "web": "/home/web", "5": "/home/web", "5:7": "/home/web", "99": "/"} {
		if got := home(app.ImageFacts{User: user, Accounts: accounts}); got != want {
			t.Errorf("user %q: %s, want %s", user, got, want)
		}
	}
	if got := home(app.ImageFacts{User: "web", Accounts: accounts, Env: []string{"HOME=/a", "HOME=/b"}}); got != "/b" {
		t.Error(got)
	}
}

func TestLowersOf(t *testing.T) {
	for _, c := range []struct {
		mounts []mount.Mount
		want   []string
	}{
		{nil, nil},
		{[]mount.Mount{{Type: "bind", Source: "/a"}}, []string{"/a"}},
		{[]mount.Mount{{Type: "overlay", Options: []string{"index=off", "lowerdir=/b:/c"}}}, []string{"/b", "/c"}},
		{[]mount.Mount{{Type: "overlay", Options: []string{"lowerdir=/b:/c", "upperdir=/a", "workdir=/w"}}}, []string{"/a", "/b", "/c"}},
	} {
		if got, err := lowersOf(c.mounts); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, %v", c.mounts, got, err)
		}
	}
	if _, err := lowersOf([]mount.Mount{{Type: "erofs"}}); err == nil {
		t.Error("no error for an unknown mount")
	}
}

func TestTail(t *testing.T) {
	var a tail
	a.add(2, []byte("the rea"))
	for i := range 40 {
		a.add(1, fmt.Appendf(nil, "line %d\nlin", i))
	}
	a.add(2, []byte("son\n"))
	a.add(2, []byte("and no end"))
	got := a.lines()
	if len(got) != outputLines || got[0] != "linline 28" || !slices.Contains(got, "the reason") || !slices.Contains(got, "and no end") {
		t.Errorf("%d lines: %q", len(got), got)
	}
	var b tail // standard error came first, and is not pushed out
	for i := range 20 {
		b.add(2, fmt.Appendf(nil, "reason %d\n", i))
	}
	for i := range 20 {
		b.add(1, fmt.Appendf(nil, "line %d\n", i))
	}
	if got := b.lines(); len(got) != outputLines || got[0] != "reason 12" || got[7] != "reason 19" || got[14] != "line 19" {
		t.Errorf("%q", got)
	}
}
