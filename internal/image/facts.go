package image

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
	"sort"
	"strconv"
	"strings"
	"syscall"

	"road/internal/app"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// facts is what is known of an image whose content is called id.
func (s *Store) facts(id string, lowers []string, cfg ocispec.ImageConfig, notes []string) (app.ImageFacts, error) {
	raw, err := json.Marshal(cfg)
	if err != nil {
		return app.ImageFacts{}, err
	}
	sum := sha256.Sum256(append([]byte(id+"\n"), raw...))
	l := layers(lowers)
	f := app.ImageFacts{
		ID:         "sha256:" + hex.EncodeToString(sum[:]),
		User:       cfg.User,
		WorkingDir: cfg.WorkingDir,
		Entrypoint: cfg.Entrypoint,
		Cmd:        cfg.Cmd,
		Env:        cfg.Env,
		Labels:     cfg.Labels,
		Ports:      ports(cfg.ExposedPorts),
		Note:       strings.Join(notes, "; "),
	}
	for v := range cfg.Volumes {
		f.Volumes = append(f.Volumes, v)
	}
	sort.Strings(f.Volumes)
	if f.Accounts, err = accounts(l); err != nil {
		return f, err
	}
	if f.Owners, err = owners(l, f); err != nil {
		return f, err
	}
	if f.Bytes, err = s.sizes.total(l); err != nil {
		return f, err
	}
	p, err := s.census.of(id, l)
	f.Executables, f.Shell, f.Streams = p.Count, p.Shell, p.Streams
	return f, err
}

// ports are the TCP ports of EXPOSE, sorted; a range is spelt out.
func ports(exposed map[string]struct{}) []int {
	var out []int
	for p := range exposed {
		number, proto, _ := strings.Cut(p, "/")
		if proto != "" && proto != "tcp" {
			continue
		}
		first, last, _ := strings.Cut(number, "-")
		from, err := strconv.Atoi(first)
		if err != nil {
			continue
		}
		to, err := strconv.Atoi(last)
		if err != nil {
			to = from
		}
		for n := from; n <= to && n <= 65535; n++ {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// passwdLimit bounds what is read of an image's /etc/passwd.
const passwdLimit = 1 << 20

// accounts reads /etc/passwd; lines that do not parse are passed by, as libc does.
func accounts(l layers) ([]app.Account, error) {
	raw, err := l.read("/etc/passwd", passwdLimit)
	if absent(err) || errors.Is(err, errUnreadable) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []app.Account
	for _, line := range strings.Split(string(raw), "\n") {
		f := strings.Split(line, ":")
		if len(f) != 7 {
			continue
		}
		uid, err := strconv.ParseUint(f[2], 10, 32)
		gid, err2 := strconv.ParseUint(f[3], 10, 32)
		if err != nil || err2 != nil {
			continue
		}
		out = append(out, app.Account{Name: f[0], UID: int(uid), GID: int(gid), Home: f[5], Shell: f[6]})
	}
	return out, nil
}

// owners looks at the directories that an app is likely to write to.
func owners(l layers, f app.ImageFacts) (map[string]app.Owner, error) {
	out := map[string]app.Owner{}
	for _, name := range append([]string{f.WorkingDir, home(f)}, f.Volumes...) {
		if name == "" {
			continue
		}
		e, err := l.find(name)
		if absent(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out[name] = app.Owner{UID: int(e.stat.Uid), GID: int(e.stat.Gid), Mode: e.stat.Mode & 0o7777}
	}
	return out, nil
}

// absent says that nothing is there, or nothing that can be reached.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ELOOP)
}

// home is the HOME that the image's user gets: from ENV, else from its account,
// else /, as runtimes do it.
func home(f app.ImageFacts) string {
	dir := ""
	for _, kv := range f.Env {
		if v, ok := strings.CutPrefix(kv, "HOME="); ok {
			dir = v
		}
	}
	if dir != "" {
		return dir
	}
	user, _, _ := strings.Cut(f.User, ":")
	if user == "" {
		user = "0"
	}
	for _, a := range f.Accounts {
		if a.Name == user || strconv.Itoa(a.UID) == user {
			return a.Home
		}
	}
	return "/"
}

func appendNote(notes []string, n string) []string {
	if n == "" || slices.Contains(notes, n) {
		return notes
	}
	return append(notes, n)
}
