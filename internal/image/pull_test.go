package image

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"road/internal/sandbox/sandboxtest"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"golang.org/x/sys/unix"
)

// layerOf makes a layer; a header without a type is a file with its name as content.
func layerOf(t *testing.T, entries ...*tar.Header) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
			h.Size = int64(len(h.Name))
		}
		if h.Mode == 0 {
			h.Mode = 0o755
		}
		h.Format = tar.FormatPAX
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			fmt.Fprint(w, h.Name)
		}
	}
	w.Close()
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func imageOf(t *testing.T, ls ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, ls...)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", runtime.GOARCH
	cfg.Config = v1.Config{User: "7:8", Env: []string{"A=b"}, WorkingDir: "/d", Cmd: []string{"/d/setuid"}, ExposedPorts: map[string]struct{}{"80/tcp": {}}}
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	return img
}

// capability is security.capability for cap_net_bind_service=ep.
const capability = "\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// odd is an image with everything that is hard to unpack.
func odd(t *testing.T) v1.Image {
	long := "d/" + strings.Repeat("long/", 40) + strings.Repeat("n", 200)
	return imageOf(t,
		layerOf(t,
			&tar.Header{Name: "d/", Typeflag: tar.TypeDir, Mode: 0o1770, Uid: 7, Gid: 8},
			&tar.Header{Name: "d/setuid", Mode: 0o4755},
			&tar.Header{Name: "d/cap", PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.trusted.overlay.redirect": "/etc"}},
			&tar.Header{Name: "d/name2", Typeflag: tar.TypeLink, Linkname: "d/setuid", Mode: 0o4755},
			&tar.Header{Name: "d/null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666},
			&tar.Header{Name: "d/removed"},
			&tar.Header{Name: "o/", Typeflag: tar.TypeDir},
			&tar.Header{Name: "o/old"},
			&tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/../d"},
			&tar.Header{Name: "loop", Typeflag: tar.TypeSymlink, Linkname: "loop"},
			&tar.Header{Name: long},
			&tar.Header{Name: "etc/passwd/", Typeflag: tar.TypeDir},
		),
		layerOf(t,
			&tar.Header{Name: "d/.wh.removed"},
			&tar.Header{Name: "d/added"},
			&tar.Header{Name: "o/", Typeflag: tar.TypeDir},
			&tar.Header{Name: "o/.wh..wh..opq"},
			&tar.Header{Name: "o/new"},
		))
}

func testRegistry(t *testing.T) (addr string, srv *httptest.Server) {
	t.Helper()
	srv = httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://"), srv
}

func push(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	r, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, img); err != nil {
		t.Fatal(err)
	}
}

func tempStore(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, CgroupParent: "/road-image-test"})
	if err != nil {
		t.Fatal(err)
	}
	s.registry = newRegistries(s.o, patience{dial: time.Second, header: 300 * time.Millisecond, read: 500 * time.Millisecond})
	t.Cleanup(func() { s.Close() })
	return s
}

func TestSandboxPull(t *testing.T) {
	sandboxtest.Need(t)
	addr, srv := testRegistry(t)
	ref, dir := addr+"/team/odd:1", t.TempDir()
	push(t, ref, odd(t))
	img, err := tempStore(t, dir).Pull(t.Context(), ref, func(l string) { t.Log(l) })
	if err != nil {
		t.Fatal(err)
	}
	checkOdd(t, img)

	var lines []string
	again, err := tempStore(t, dir).Pull(t.Context(), ref, func(l string) { lines = append(lines, l) })
	if err != nil || len(lines) > 0 || again.Facts.ID != img.Facts.ID {
		t.Errorf("second pull: %v, %q", err, lines)
	}
	push(t, ref, imageOf(t, layerOf(t, &tar.Header{Name: "changed"})))
	if again, err = tempStore(t, dir).Pull(t.Context(), ref, nil); err != nil || len(again.Lowers) != 1 {
		t.Errorf("the changed tag: %v, %v", again, err)
	}
	srv.Close()
	if again, err = tempStore(t, dir).Pull(t.Context(), ref, nil); err != nil || len(again.Lowers) != 1 {
		t.Errorf("without the registry: %v, %v", again, err)
	}
	_, err = tempStore(t, dir).Pull(t.Context(), addr+"/other:1", nil)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf(`cannot get image "%s/other:1": no registry answers (tried %s: `, addr, addr)) {
		t.Error(err)
	}
}

// Several processes, here several stores, may want the same thing at once.
func TestSandboxPullAtOnce(t *testing.T) {
	sandboxtest.Need(t)
	addr, _ := testRegistry(t)
	dir := t.TempDir()
	push(t, addr+"/odd", odd(t))
	var wg sync.WaitGroup
	for range 4 {
		s := tempStore(t, dir)
		wg.Go(func() {
			img, err := s.Pull(t.Context(), addr+"/odd", nil)
			if err != nil || len(img.Lowers) != 2 {
				t.Errorf("pull: %v, %v", img, err)
			}
			if _, err := s.base(t.Context(), addr+"/odd", func(string) {}); err != nil {
				t.Error("base:", err)
			}
		})
	}
	wg.Wait()
	if left, _ := filepath.Glob(dir + "/tmp/*"); len(left) > 0 {
		t.Error("left:", left)
	}
}

func checkOdd(t *testing.T, img *Image) {
	t.Helper()
	if len(img.Lowers) != 2 {
		t.Fatal("layers:", img.Lowers)
	}
	l := layers(img.Lowers)
	for name, there := range map[string]bool{
		"/d/setuid": true, "/d/added": true, "/d/removed": false, "/o/new": true, "/o/old": false,
		"/link/added": true, "/loop": false, "/d/../d/./added": true, "/../../d/added": true, "/d/added/x": false,
		"/d/" + strings.Repeat("long/", 40) + strings.Repeat("n", 200): true,
	} {
		if _, err := l.find(name); (err == nil) != there {
			t.Errorf("%.60s: %v, want there: %v", name, err, there)
		}
	}
	setuid, _ := l.find("/d/setuid")
	if setuid.stat.Mode&0o7777 != 0o4755 || setuid.stat.Nlink != 2 {
		t.Errorf("setuid: mode %o, %d names", setuid.stat.Mode, setuid.stat.Nlink)
	}
	if null, _ := l.find("/d/null"); null.stat.Rdev != unix.Mkdev(1, 3) {
		t.Errorf("null: device %x", null.stat.Rdev)
	}
	buf := make([]byte, 64)
	file, _ := l.find("/d/cap")
	if n, err := unix.Lgetxattr(file.file, "security.capability", buf); err != nil || string(buf[:n]) != capability {
		t.Errorf("capability: %x, %v", buf[:max(n, 0)], err)
	}
	if _, err := unix.Lgetxattr(file.file, "trusted.overlay.redirect", buf); err == nil {
		t.Error("the layer steers the overlay")
	}
	o := img.Facts.Owners["/d"]
	if o.UID != 7 || o.GID != 8 || o.Mode != 0o1770 {
		t.Errorf("owner of /d, which the upper layer only passes through: %+v", o)
	}
	overlayShows(t, img.Lowers, "d", []string{"added", "cap", "long", "name2", "null", "setuid"})
	overlayShows(t, img.Lowers, "o", []string{"new"})
	if img.Config.User != "7:8" || img.Facts.User != "7:8" || len(img.Facts.Ports) != 1 {
		t.Errorf("config: %+v", img.Config)
	}
}

// overlayShows has the kernel put the layers together.
func overlayShows(t *testing.T, lowers []string, dir string, want []string) {
	t.Helper()
	at := t.TempDir()
	if err := unix.Mount("overlay", at, "overlay", unix.MS_RDONLY, "lowerdir="+strings.Join(lowers, ":")); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	entries, err := os.ReadDir(filepath.Join(at, dir))
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q (%v)", dir, got, want, err)
	}
}

func TestSandboxPullFiles(t *testing.T) {
	sandboxtest.Need(t)
	dir, img := t.TempDir(), odd(t)
	l, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.AppendImage(img, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "one"})); err != nil {
		t.Fatal(err)
	}
	tag, _ := name.NewTag("some/odd:1")
	if err := tarball.WriteToFile(filepath.Join(dir, "saved.tar"), tag, img); err != nil {
		t.Fatal(err)
	}
	several, err := layout.Write(filepath.Join(dir, "several"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	other := imageOf(t, layerOf(t, &tar.Header{Name: "other"}))
	for tag, i := range map[string]v1.Image{"1": img, "2": other} {
		if err := several.AppendImage(i, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": tag})); err != nil {
			t.Fatal(err)
		}
	}
	tag2, _ := name.NewTag("some/odd:2")
	if err := tarball.MultiWriteToFile(filepath.Join(dir, "both.tar"), map[name.Tag]v1.Image{tag: img, tag2: other}); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{"out": "/etc", "linked/index.json": "/dev/zero", "linkedblobs/blobs/sha256": "../../layout/blobs/sha256"} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.Symlink(target, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	index, err := os.ReadFile(filepath.Join(dir, "layout", "index.json"))
	if err = errors.Join(err, os.WriteFile(filepath.Join(dir, "linkedblobs", "index.json"), index, 0o644), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644)); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s := tempStore(t, t.TempDir())
	for _, file := range []string{"layout", "saved.tar", "several", "both.tar"} {
		got, err := s.Archive(t.Context(), "some/odd:1", dir, file, nil)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		checkOdd(t, got)
	}
	if got, err := s.Archive(t.Context(), "some/odd:1@"+digest.String(), dir, "layout", nil); err != nil {
		t.Error(err)
	} else {
		checkOdd(t, got)
	}
	for _, c := range []struct{ ref, file, want string }{
		{"some/odd:3", "several", "none is called"},
		{"some/odd:3", "both.tar", "no image some/odd:3"},
		{"some/odd:1", ".", "index.json"},
		{"some/odd:1", "nothing", "no such file"},
		{"some/odd:1", "out/passwd", "escapes"},
		{"some/odd:1", "linked", "escapes"},
		{"some/odd:1", "linkedblobs", "blobs/sha256 in it is neither"},
		{"some/odd:1", "pipe", "no regular file"},
		{"some/odd:1@sha256:" + strings.Repeat("0", 64), "layout", "what it holds is " + digest.String()},
	} {
		if _, err := s.Archive(t.Context(), c.ref, dir, c.file, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v, want %q", c.ref, c.file, err, c.want)
		}
	}
	if _, err := s.Pull(t.Context(), filepath.Join(dir, "saved.tar"), nil); err == nil {
		t.Error("a manifest's image was taken from a file of the host")
	}
}

func TestSandboxPullHostile(t *testing.T) {
	sandboxtest.Need(t)
	for name, entries := range map[string][]*tar.Header{
		"dots":     {{Name: "../escaped"}},
		"deep":     {{Name: "a/../../../escaped"}},
		"hardlink": {{Name: "x", Typeflag: tar.TypeLink, Linkname: "../../../../../../../../etc/passwd"}},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "evil.tar")
		tag, _ := namedTag("evil:1")
		if err := tarball.WriteToFile(file, tag, imageOf(t, layerOf(t, entries...))); err != nil {
			t.Fatal(err)
		}
		s := tempStore(t, filepath.Join(dir, "store"))
		if _, err := s.Archive(t.Context(), "evil:1", dir, "evil.tar", nil); err == nil || !strings.Contains(err.Error(), "leaves the image") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "store", "tmp", "*")); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
	// A link that leads out of the image leads back into it, in the layer as in the container.
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	if err := os.Mkdir(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "link.tar")
	tag, _ := namedTag("link:1")
	link := layerOf(t, &tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: outside}, &tar.Header{Name: "l/written"})
	if err := tarball.WriteToFile(file, tag, imageOf(t, link)); err != nil {
		t.Fatal(err)
	}
	tempStore(t, filepath.Join(dir, "store")).Pull(t.Context(), file, nil)
	if found, _ := filepath.Glob(outside + "/*"); len(found) > 0 {
		t.Error("a layer wrote outside:", found)
	}
}

func namedTag(s string) (name.Tag, error) { return name.NewTag(s) }

// A registry that takes connections and says nothing.
func TestPullFromSilentRegistry(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			if _, err := l.Accept(); err != nil {
				return
			}
		}
	}()
	s := tempStore(t, t.TempDir())
	start := time.Now()
	var lines []string
	for range 2 {
		_, err := s.Pull(t.Context(), l.Addr().String()+"/x:1", func(l string) { lines = append(lines, l) })
		if err == nil || !strings.Contains(err.Error(), "no registry answers") {
			t.Fatal(err)
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Error("took", d)
	}
	if len(lines) != 1 || !strings.Contains(lines[0], "no answer from the registry") {
		t.Errorf("said %q, want one line", lines)
	}
}

func TestPullRefusals(t *testing.T) {
	addr, _ := testRegistry(t)
	s := tempStore(t, t.TempDir())
	if _, err := s.Pull(t.Context(), addr+"/none:1", nil); err == nil || !strings.Contains(err.Error(), "refuses: ") {
		t.Error(err)
	}
	if _, err := s.Pull(t.Context(), "UPPER:1", nil); err == nil {
		t.Error("no error for a bad name")
	}
	s.registry.offline = true
	_, err := s.Pull(t.Context(), addr+"/none:1", nil)
	var h interface{ Hint() string }
	if err == nil || !errors.As(err, &h) || !strings.Contains(h.Hint(), "may be asked") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.registry.offline = false
	if _, err := s.Pull(ctx, addr+"/none:1", nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Plain http is for this machine alone: anyone on the way could change an image.
func TestPlainHTTPOnlyToLoopback(t *testing.T) {
	var asked []string
	s, err := Open(Options{Dir: t.TempDir(), Dial: func(_ context.Context, _, addr string) (net.Conn, error) {
		asked = append(asked, addr)
		return nil, errors.New("no network")
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Pull(t.Context(), "10.1.2.3:5000/x:1", nil); err == nil {
		t.Error("no error")
	}
	if _, err := s.registry.client.RoundTrip(httptest.NewRequest("GET", "http://10.1.2.3/v2/", nil)); err == nil || !strings.Contains(err.Error(), "refused to speak plain http") {
		t.Error(err)
	}
	if _, err := s.registry.client.RoundTrip(httptest.NewRequest("GET", "http://127.0.0.1:1/v2/", nil)); err == nil || strings.Contains(err.Error(), "refused to speak") {
		t.Error(err)
	}
	if len(asked) == 0 {
		t.Error("Options.Dial was not used")
	}
}
