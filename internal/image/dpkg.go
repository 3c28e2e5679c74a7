package image

import (
	"bufio"
	"bytes"
	"os"
	"path"
	"regexp"
	"strings"
)

// Where dpkg keeps what it knows.
const (
	dpkgInfo         = "/var/lib/dpkg/info"
	dpkgAlternatives = "/var/lib/dpkg/alternatives"
	alternatives     = "/etc/alternatives"
)

// dpkgLimit bounds what is read of one file of dpkg's.
const dpkgLimit = 16 << 20

// compiled are modules that Python makes when a package is installed; they come
// from the package that has the source.
var compiled = regexp.MustCompile(`^(.*)/__pycache__/([^/.]+)\.[^/]*\.pyc$`)

// Packages says which Debian package each of files comes from, which are real
// names; those of no package are not in it. It is nil where the image has no list
// of packages.
func (im *Image) Packages(files []string) (map[string]string, error) {
	l := layers(im.Lowers)
	wanted := map[string][]string{} // by the name that a list may have
	for _, f := range files {
		listed := compiled.ReplaceAllString(f, "$1/$2.py")
		wanted[listed] = append(wanted[listed], f)
		if short, ok := strings.CutPrefix(listed, "/usr/"); ok { // a list may be older than the link from /lib to /usr/lib
			wanted["/"+short] = append(wanted["/"+short], f)
		}
	}
	var out map[string]string
	err := l.each(dpkgInfo, func(name string) error {
		pkg, list := strings.CutSuffix(name, ".list")
		if !list {
			return nil
		}
		content, err := l.read(path.Join(dpkgInfo, name), dpkgLimit)
		if err != nil {
			return err
		}
		if out == nil {
			out = map[string]string{}
		}
		pkg, _, _ = strings.Cut(pkg, ":") // libc6:amd64
		for s := bufio.NewScanner(bytes.NewReader(content)); s.Scan(); {
			for _, f := range wanted[s.Text()] {
				out[f] = pkg
			}
		}
		return nil
	})
	return out, err
}

// Alternatives gives the links of Debian's alternatives that lead to one of
// files: by their names the file, for the link in /etc/alternatives as for the one
// that leads there. No package has them in its list.
func (im *Image) Alternatives(files []string) (map[string]string, error) {
	l := layers(im.Lowers)
	real := map[string]string{} // on this host, to its name in the image
	for _, f := range files {
		if e, err := l.find(f); err == nil {
			real[e.file] = f
		}
	}
	out := map[string]string{}
	add := func(name, link string) {
		if e, err := l.find(path.Join(alternatives, name)); err == nil && real[e.file] != "" {
			out[link], out[path.Join(alternatives, name)] = real[e.file], real[e.file]
		}
	}
	err := l.each(dpkgAlternatives, func(name string) error {
		content, err := l.read(path.Join(dpkgAlternatives, name), dpkgLimit)
		if err != nil {
			return err
		}
		lines := strings.Split(string(content), "\n")
		if len(lines) < 2 {
			return nil
		}
		add(name, lines[1]) // below "auto" or "manual"
		for i := 2; i+1 < len(lines) && lines[i] != ""; i += 2 {
			add(lines[i], lines[i+1])
		}
		return nil
	})
	return out, err
}

// each visits the names in a directory, none where it is not there.
func (l layers) each(dir string, visit func(name string) error) error {
	e, err := l.find(dir)
	if absent(err) {
		return nil
	}
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, d := range e.dirs {
		list, err := os.ReadDir(d)
		if err != nil {
			return err
		}
		for _, f := range list {
			if seen[f.Name()] {
				continue
			}
			seen[f.Name()] = true
			if _, err := e.child(f.Name()); err != nil {
				continue // taken away by a higher layer
			}
			if err := visit(f.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}
