package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// A distribution is one whose images can be made from its packages.
type distribution struct {
	name    string // "Debian"
	suite   string
	slim    bool   // without documentation, as the -slim images are
	keyring string // package that the host needs
}

var (
	// debianSuites gives the release of a number; names stand for themselves.
	debianSuites = map[string]string{"11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky", "latest": "stable"}
	debianNames  = []string{"bullseye", "bookworm", "trixie", "forky", "sid", "stable", "oldstable", "testing", "unstable"}
	ubuntuSuites = map[string]string{"20.04": "focal", "22.04": "jammy", "24.04": "noble", "25.04": "plucky", "25.10": "questing", "26.04": "resolute", "latest": "resolute"}

	buildDate   = regexp.MustCompile(`-\d{8}(\.\d+)?$`)
	pointNumber = regexp.MustCompile(`^(\d\d)\.\d+$`)
)

// distributionOf says how an image can be made from packages; nil where it
// cannot: another image, or one that is asked for by digest.
func distributionOf(r name.Reference) *distribution {
	tag, ok := r.(name.Tag)
	if !ok || r.Context().RegistryStr() != name.DefaultRegistry {
		return nil
	}
	t, slim := strings.CutSuffix(tag.TagStr(), "-slim")
	t = buildDate.ReplaceAllString(t, "")
	switch r.Context().RepositoryStr() {
	case "library/debian":
		if m := pointNumber.FindStringSubmatch(t); m != nil {
			t = m[1]
		}
		if s := debianSuites[t]; s != "" {
			t = s
		}
		if slices.Contains(debianNames, t) {
			return &distribution{name: "Debian", suite: t, slim: slim, keyring: "debian-archive-keyring"}
		}
	case "library/ubuntu":
		if s := ubuntuSuites[t]; s != "" {
			return &distribution{name: "Ubuntu", suite: s, keyring: "ubuntu-keyring"}
		}
		for _, s := range ubuntuSuites {
			if s == t {
				return &distribution{name: "Ubuntu", suite: s, keyring: "ubuntu-keyring"}
			}
		}
	}
	return nil
}

// sources are the apt lines of the base, which RUN steps and pods use later:
// http, since a minimal base has no certificates.
func (d *distribution) sources(mirror string) []string {
	if d.name == "Ubuntu" {
		const main = "http://archive.ubuntu.com/ubuntu"
		return []string{
			"deb " + main + " " + d.suite + " main universe",
			"deb " + main + " " + d.suite + "-updates main universe",
			"deb http://security.ubuntu.com/ubuntu " + d.suite + "-security main universe",
		}
	}
	lines := []string{"deb " + mirror + " " + d.suite + " main"}
	if d.suite == "sid" || d.suite == "unstable" {
		return lines
	}
	return append(lines,
		"deb "+mirror+" "+d.suite+"-updates main",
		"deb "+securityMirror(mirror)+" "+d.suite+"-security main")
}

// securityMirror guesses the neighbour of a mirror, as deb.debian.org and its
// copies have it.
func securityMirror(mirror string) string {
	if rest, ok := strings.CutSuffix(strings.TrimSuffix(mirror, "/"), "/debian"); ok {
		return rest + "/debian-security"
	}
	return "http://deb.debian.org/debian-security"
}

const defaultMirror = "http://deb.debian.org/debian"

// mirror is where Debian's packages come from: as told, as the host has it.
func (s *Store) mirror() string {
	if s.o.Mirror != "" {
		return s.o.Mirror
	}
	if m := os.Getenv("ROAD_DEBIAN_MIRROR"); m != "" {
		return m
	}
	var text []byte
	for _, pattern := range []string{"/etc/apt/sources.list", "/etc/apt/sources.list.d/*.list", "/etc/apt/sources.list.d/*.sources"} {
		files, _ := filepath.Glob(pattern)
		for _, f := range files {
			b, _ := os.ReadFile(f)
			text = append(append(text, b...), '\n')
		}
	}
	return hostMirror(string(text))
}

var mirrorURL = regexp.MustCompile(`(?m)^(?:deb\s+(?:\[[^\]]*\]\s+)?|URIs:\s*)(http://\S+/debian)/?(?:\s|$)`)

// hostMirror finds the Debian mirror in apt's source files, of either format.
func hostMirror(sources string) string {
	if m := mirrorURL.FindStringSubmatch(sources); m != nil {
		return m[1]
	}
	return defaultMirror
}

// slimExcludes are what Debian's own -slim images leave out.
var slimExcludes = []string{"/usr/share/doc/*", "/usr/share/info/*", "/usr/share/linda/*", "/usr/share/lintian/overrides/*", "/usr/share/locale/*", "/usr/share/man/*"}

// finish makes the tree what the official image is: no names of this host,
// services that are not started by their installation, no archives kept, small
// package lists, no waiting for the disk in builds.
const finish = `set -e
rm -f "$1/etc/resolv.conf" "$1/etc/hostname" "$1"/var/cache/apt/*.bin
printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
cat >"$1/etc/apt/apt.conf.d/docker-clean" <<'END'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
Acquire::GzipIndexes "true";
END
`

// bootstrap makes the base with mmdebstrap, as an OCI layout in dir.
func (s *Store) bootstrap(ctx context.Context, ref string, d *distribution, tmp, dir string, say func(string)) (digest string, err error) {
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		return "", withHint(fmt.Errorf("cannot make %s from packages: mmdebstrap is not on PATH", ref), "apt-get install mmdebstrap")
	}
	if os.Geteuid() != 0 {
		return "", withHint(fmt.Errorf("making %s from packages needs root", ref), "run it with sudo")
	}
	tar := filepath.Join(tmp, "root.tar")
	args := []string{"--variant=minbase", "--format=tar", "--mode=root", "--customize-hook=" + finish}
	if d.slim {
		for _, p := range slimExcludes {
			args = append(args, "--dpkgopt=path-exclude="+p)
		}
		args = append(args, "--dpkgopt=path-include=/usr/share/doc/*/copyright")
	}
	args = append(append(args, d.suite, tar), d.sources(s.mirror())...)
	c := isolated(ctx, "mmdebstrap", args...)
	c.Env = append(os.Environ(), "TMPDIR="+tmp, "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive")
	if err := runTold(c, func(line string) { say(ref + ": " + line) }); err != nil {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		return "", s.bootstrapError(ref, d, err)
	}
	return layoutOfTar(tar, dir)
}

// bootstrapError says why mmdebstrap failed: not the application's fault, so
// no BuildError.
func (s *Store) bootstrapError(ref string, d *distribution, err error) error {
	var b *BuildError
	if !errors.As(err, &b) {
		return err
	}
	said := strings.Join(b.Output, "\n")
	base := &BaseError{Ref: ref, Distribution: d.name, Reason: b.Reason}
	for _, l := range b.Output { // apt's own errors say more than what follows from them
		if strings.HasPrefix(l, "E: ") && len(base.Output) < 3 {
			base.Output = append(base.Output, l)
		}
	}
	switch {
	case strings.Contains(said, "No space left on device"):
		return fmt.Errorf("%w: %w", base, unix.ENOSPC)
	case strings.Contains(said, "NO_PUBKEY") || strings.Contains(said, "no keyring") || strings.Contains(said, "signed-by"):
		return withHint(base, "apt-get install "+d.keyring)
	case containsAny(said, "Could not resolve", "Temporary failure resolving", "Could not connect", "Unable to fetch", "Failed to fetch"):
		return withHint(base, "the package mirror does not answer: set ROAD_DEBIAN_MIRROR to one that does, or connect this machine to a network")
	}
	return base
}

func containsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(p string) bool { return strings.Contains(s, p) })
}

// runTold runs c; say gets what mmdebstrap reports, the error its last lines.
func runTold(c *exec.Cmd, say func(string)) error {
	w := &lineWriter{line: func(l string) {
		if msg, ok := strings.CutPrefix(l, "I: "); ok && !strings.ContainsAny(msg, "/:") && strings.HasSuffix(msg, "...") {
			say(strings.TrimSuffix(msg, "..."))
		}
	}}
	c.Stdout, c.Stderr = w, w
	ended, err := startBound(c)
	if err != nil {
		return err
	}
	if err := <-ended; err != nil {
		return &BuildError{Reason: err.Error(), Output: w.last}
	}
	return nil
}

// A lineWriter hands on whole lines and remembers the last ones.
type lineWriter struct {
	line func(string)
	part []byte
	last []string
}

// Write takes more output; it never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.part = append(w.part, p...)
	for {
		i := slices.Index(w.part, '\n')
		if i < 0 {
			return len(p), nil
		}
		if l := cleanLine(string(w.part[:i])); l != "" {
			w.last = append(w.last, l)
			w.last = w.last[max(0, len(w.last)-outputLines):]
			w.line(l)
		}
		w.part = w.part[i+1:]
	}
}

// layoutOfTar makes an OCI layout whose one layer is the tar itself, which is
// moved there: compressing it would cost more than it saves on one disk.
func layoutOfTar(tar, dir string) (digest string, err error) {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o700); err != nil {
		return "", err
	}
	f, err := os.Open(tar)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return "", err
	}
	layer := hex.EncodeToString(h.Sum(nil))
	if err := os.Rename(tar, filepath.Join(blobs, layer)); err != nil {
		return "", err
	}
	put := func(mediaType string, v any) (ocispec.Descriptor, error) {
		raw, err := json.Marshal(v)
		if err != nil {
			return ocispec.Descriptor{}, err
		}
		sum := sha256.Sum256(raw)
		id := hex.EncodeToString(sum[:])
		d := ocispec.Descriptor{MediaType: mediaType, Size: int64(len(raw))}
		d.Digest = digestOf(id)
		return d, os.WriteFile(filepath.Join(blobs, id), raw, 0o600)
	}
	img := ocispec.Image{Platform: ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH}}
	img.Config.Cmd = []string{"bash"}
	img.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	img.RootFS.Type = "layers"
	img.RootFS.DiffIDs = append(img.RootFS.DiffIDs, digestOf(layer))
	img.History = []ocispec.History{{CreatedBy: "mmdebstrap"}}
	cfg, err := put(ocispec.MediaTypeImageConfig, img)
	if err != nil {
		return "", err
	}
	man := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, Config: cfg,
		Layers: []ocispec.Descriptor{{MediaType: ocispec.MediaTypeImageLayer, Digest: digestOf(layer), Size: size}}}
	man.SchemaVersion = 2
	top, err := put(ocispec.MediaTypeImageManifest, man)
	if err != nil {
		return "", err
	}
	idx := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, Manifests: []ocispec.Descriptor{top}}
	idx.SchemaVersion = 2
	if err := writeJSON(filepath.Join(dir, "index.json"), idx); err != nil {
		return "", err
	}
	return top.Digest.String(), os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o600)
}
