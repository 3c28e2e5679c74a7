package image

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
)

// Programs are what whoever gets into a container finds there to run.
type programs struct {
	Count int    // names of programs
	Shell string // the first shell found, "" for none

	// Streams are links to the standard streams, sorted: logs that are written to
	// where a container's are read. They lead nowhere but in a running container.
	Streams []string
}

// A census remembers the programs of images, since counting takes long and the
// content of a name never changes.
type census struct {
	file string

	mu    sync.Mutex
	known map[string]programs // by the image's content
}

// of counts the programs of an image whose content is called id.
func (c *census) of(id string, l layers) (programs, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[string]programs{}
		readJSON(c.file, &c.known) // none or a broken one: count again
	}
	if p, ok := c.known[id]; ok && id != "" {
		return p, nil
	}
	p, err := count(l)
	if err != nil {
		return p, err
	}
	c.known[id] = p
	return p, writeJSON(c.file, c.known)
}

// sharedObject are files that carry an execute bit in some distributions and are
// no programs.
var sharedObject = regexp.MustCompile(`\.so(\.[0-9.]+)?$`)

// searched are the directories in which every runtime looks for a program.
var searched = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// shells are looked for in those directories.
var shells = []string{"sh", "bash", "dash", "ash", "ksh", "zsh", "busybox"}

// count counts regular files with an execute bit, shared libraries aside, and
// links to such files where a runtime looks for programs: each is a name that
// can be run.
func count(l layers) (programs, error) {
	var p programs
	if len(l) == 0 {
		return p, nil
	}
	err := (&entry{dirs: l}).walk("/", func(name string, e *entry) {
		switch {
		case e.is(syscall.S_IFLNK) && !strings.HasPrefix(name, "/dev/") && leadsToStream(e):
			p.Streams = append(p.Streams, name)
		case sharedObject.MatchString(name):
		case executable(e), e.is(syscall.S_IFLNK) && slices.Contains(searched, path.Dir(name)) && leadsToProgram(l, name):
			p.Count++
		}
	})
	if err != nil {
		return p, err
	}
	slices.Sort(p.Streams)
	for _, dir := range searched {
		for _, s := range shells {
			if name := path.Join(dir, s); p.Shell == "" && leadsToProgram(l, name) {
				p.Shell = name
			}
		}
	}
	return p, nil
}

func executable(e *entry) bool { return e.is(syscall.S_IFREG) && e.stat.Mode&0o111 != 0 }

var standardStream = regexp.MustCompile(`^/(dev/(stdin|stdout|stderr|fd/\d+)|proc/self/fd/\d+)$`)

func leadsToStream(e *entry) bool {
	to, err := os.Readlink(e.file)
	return err == nil && standardStream.MatchString(to)
}

func leadsToProgram(l layers, name string) bool {
	e, err := l.find(name)
	return err == nil && e.stat != nil && executable(e)
}

// walk visits everything below a directory, links as links.
func (e *entry) walk(at string, visit func(name string, e *entry)) error {
	names := map[string]bool{}
	for _, dir := range e.dirs {
		list, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, d := range list {
			names[d.Name()] = true
		}
	}
	for name := range names {
		c, err := e.child(name)
		if absent(err) || err == nil && strings.HasPrefix(name, ".wh.") {
			continue // taken away by a higher layer
		}
		if err != nil {
			return err
		}
		full := path.Join(at, name)
		visit(full, c)
		if c.is(syscall.S_IFDIR) {
			if err := c.walk(full, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
