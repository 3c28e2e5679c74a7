package image

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"road/internal/app"
	"road/internal/sandbox/sandboxtest"

	"github.com/google/go-cmp/cmp"
)

// sharedStore is the store of this machine, so that bases are made once.
func sharedStore(t *testing.T) *Store {
	t.Helper()
	dir := os.Getenv("ROAD_STATE")
	if dir == "" {
		dir = "/var/lib/road"
	}
	s, err := Open(Options{Dir: dir, CgroupParent: "/road-image-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// privateDir is where the tests of this process build; TestMain removes it.
var privateDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "road-image-") })

// privateStore is a store in which nobody else builds, with the machine's base.
func privateStore(t *testing.T) *Store {
	t.Helper()
	b, err := sharedStore(t).base(t.Context(), "debian:trixie-slim", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	dir, err := privateDir()
	if err != nil {
		t.Fatal(err)
	}
	s := tempStore(t, dir)
	if err := os.Symlink(b.dir, filepath.Join(dir, "bases", filepath.Base(b.dir))); err != nil && !os.IsExist(err) {
		t.Fatal(err)
	}
	return s
}

// writeBuild makes a folder with files and the build of its Dockerfile.
func writeBuild(t *testing.T, content string, files map[string]string) (root string, b *app.Build) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, "web", name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "web"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root, &app.Build{Context: "web", Dockerfile: &app.Dockerfile{File: "web/Dockerfile", Content: []byte(content)}}
}

func TestSandboxBuild(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	s := privateStore(t)
	root, b := writeBuild(t, `# syntax=docker/dockerfile:1
ARG BASE=wrong
FROM ${BASE}:trixie-slim AS tools
RUN apt-get update && apt-get install -y --no-install-recommends hello && useradd -u 4321 -m web
RUN ln -s /srv /data && mkdir -m 2775 /srv/logs
FROM nginx:1 AS unused
FROM tools
COPY --chown=web . /srv/files
WORKDIR /srv/files
VOLUME /data/logs
USER web
EXPOSE 8080 53/udp 8000-8002
LABEL a=b
ENTRYPOINT ["/usr/bin/hello"]
`, map[string]string{"file": "content", "Dockerfile": "FROM scratch\nRUN this is not what is built\n", ".dockerignore": "ignored\n", "ignored": "x"})
	b.Args = map[string]string{"BASE": "debian"}
	var first *Image
	for range 2 {
		var lines []string
		start := time.Now()
		img, err := s.Build(t.Context(), "example.org/team/web:1", root, b, func(l string) { lines = append(lines, l) })
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v\n%s", time.Since(start), strings.Join(lines, "\n"))
		if first == nil {
			first = img
			continue
		}
		if img.Facts.ID != first.Facts.ID {
			t.Error("an unchanged build has another ID")
		}
		if hasLine(lines, "RUN") {
			t.Error("an unchanged build ran a step again:", lines)
		}
	}
	l := layers(first.Lowers)
	if got, err := l.read("/srv/files/file", 100); err != nil || string(got) != "content" {
		t.Errorf("file: %q, %v", got, err)
	}
	for name, want := range map[string]bool{"/srv/files/ignored": false, "/usr/bin/hello": true, "/etc/resolv.conf": false} {
		if _, err := l.find(name); (err == nil) != want {
			t.Errorf("%s: %v, want there: %v", name, err, want)
		}
	}
	f := first.Facts
	if !slices.ContainsFunc(f.Accounts, func(a app.Account) bool { return a.Name == "web" && a.UID == 4321 && a.Home == "/home/web" }) {
		t.Error("no account web in", f.Accounts)
	}
	if f.Bytes < 50<<20 || f.Bytes > 300<<20 {
		t.Error("bytes:", f.Bytes)
	}
	if f.Executables < 100 || f.Executables > 1000 || path.Base(f.Shell) != "sh" {
		t.Errorf("%d programs, shell %q", f.Executables, f.Shell)
	}
	f.ID, f.Accounts, f.Bytes, f.Executables, f.Shell = "", nil, 0, 0, ""
	want := app.ImageFacts{
		User: "web", WorkingDir: "/srv/files", Entrypoint: []string{"/usr/bin/hello"},
		Env:     []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Volumes: []string{"/data/logs"}, Ports: []int{8000, 8001, 8002, 8080}, Labels: map[string]string{"a": "b"},
		Owners: map[string]app.Owner{"/srv/files": {UID: 4321, GID: 4321, Mode: 0o755}, "/home/web": {UID: 4321, GID: 4321, Mode: 0o700}, "/data/logs": {UID: 0, GID: 0, Mode: 0o2775}},
		Note:   "debian:trixie-slim made from Debian's packages, since no registry answered",
	}
	if first.Facts.Note == "" { // a registry answers here
		want.Note = ""
		want.Env = f.Env
	}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error("facts (-want +got):\n" + diff)
	}
}

// Shapes in which BuildKit gives a result: nothing, one bind mount, an overlay.
func TestSandboxBuildShapes(t *testing.T) {
	sandboxtest.Need(t, "runc")
	s, err := Open(Options{Dir: t.TempDir(), CgroupParent: "/road-image-test", Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []struct {
		name, dockerfile string
		lowers           int
	}{
		{"empty", "FROM scratch\nUSER 5\n", 0},
		{"one layer", "FROM scratch\nCOPY a /a\n", 1},
		{"stages", "FROM scratch AS x\nCOPY a /x/a\nCOPY b /x/b\nFROM scratch\nCOPY --from=x /x /\nCOPY a /c\nENV E=1\n", 2},
	} {
		root, b := writeBuild(t, c.dockerfile, map[string]string{"a": "A", "b": "BB"})
		img, err := s.Build(t.Context(), c.name, root, b, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(img.Lowers) != c.lowers {
			t.Errorf("%s: layers %v, want %d", c.name, img.Lowers, c.lowers)
		}
		if c.lowers == 2 {
			if got, err := layers(img.Lowers).read("/b", 10); string(got) != "BB" {
				t.Errorf("%s: /b: %q %v", c.name, got, err)
			}
			if img.Facts.Bytes != 4 {
				t.Errorf("%s: %d bytes, want 4", c.name, img.Facts.Bytes)
			}
		}
	}
}

func TestSandboxBuildErrors(t *testing.T) {
	sandboxtest.Need(t, "runc", "mmdebstrap")
	s := privateStore(t)
	s.registry.offline = true
	for _, c := range []struct {
		name, dockerfile string
		change           func(*app.Build)
		want             []string // parts of the error
		hint             string
	}{
		{"run", "FROM debian:trixie-slim\nUSER root\nRUN for i in $(seq 40); do echo line $i; done; \\\n  echo the reason >&2; exit 7\n", nil,
			[]string{"web/Dockerfile:3: RUN for i in", "exit code: 7", "\n  line 40", "\n  the reason"}, ""},
		{"copy", "FROM debian:trixie-slim\n\nCOPY nothing /here\n", nil,
			[]string{"web/Dockerfile:3: ", "COPY nothing /here", `"/nothing": not found`}, ""},
		{"image", "FROM scratch AS a\nFROM nginx:1.27\n", nil, []string{`web/Dockerfile:2: cannot get image "nginx:1.27"`}, "get it while registries may be asked"},
		{"syntax", "FROM scratch\nRUNN x\n", nil, []string{"web/Dockerfile:2: unknown instruction: RUNN"}, ""},
		{"no from", "# nothing\n", nil, []string{"web/Dockerfile"}, ""},
		{"target", "FROM scratch AS a\nCOPY a /\n", func(b *app.Build) { b.Target = "b" }, []string{`web/Dockerfile: no stage "b"`}, "AS name"},
		{"context", "FROM scratch\n", func(b *app.Build) { b.Context = "missing" }, []string{"web/Dockerfile: no build context", "missing"}, "road.yaml"},
		{"outside", "FROM scratch\n", func(b *app.Build) { b.Context = "../.." }, []string{"leads out of"}, ""},
		{"later stage", "FROM later\nFROM scratch AS later\n", func(b *app.Build) { b.Target = "0" }, []string{`cannot get image "later"`}, ""},
		{"empty base", "ARG B\nFROM ${B}\n", nil, []string{"web/Dockerfile:2: the base", "empty"}, "ARG"},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, b := writeBuild(t, c.dockerfile, nil)
			if c.change != nil {
				c.change(b)
			}
			_, err := s.Build(t.Context(), "web", root, b, nil)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("no %q in: %v", w, err)
				}
			}
			var h interface{ Hint() string }
			if c.hint != "" && (!errors.As(err, &h) || !strings.Contains(h.Hint(), c.hint)) {
				t.Errorf("no hint %q with: %v", c.hint, err)
			}
			if n := strings.Count(err.Error(), "\n"); n > outputLines {
				t.Errorf("%d lines of output in: %v", n, err)
			}
		})
	}
}

// Several builds at once share one builder: of one folder with other Dockerfiles,
// as the stops of a walk are, and each gets its own.
func TestSandboxBuildsAtOnce(t *testing.T) {
	sandboxtest.Need(t, "runc")
	s := tempStore(t, t.TempDir())
	root, _ := writeBuild(t, "", map[string]string{"a": "A"})
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			env := fmt.Sprintf("N=%d", i)
			b := &app.Build{Context: "web", Dockerfile: &app.Dockerfile{File: "web/Dockerfile", Content: []byte("FROM scratch\nENV " + env + "\nCOPY a /\n")}}
			img, err := s.Build(t.Context(), "web", root, b, nil)
			if err != nil || !slices.Contains(img.Config.Env, env) {
				t.Errorf("%s: %v, %v", env, img, err)
			}
		})
	}
	wg.Wait()
	if n := len(running(s.o.Dir + "/bk")); n > 1 {
		t.Error(n, "builders")
	}
}

func hasLine(lines []string, part string) bool {
	return slices.ContainsFunc(lines, func(l string) bool { return strings.Contains(l, part) })
}
